"""What devices tell each other in a training step, counted in the compiled program.

    python benchmarks/scaling.py

For the networks of the original question and several objectives: how many collective
operations a step has on 2 and 8 virtual devices, and how many bytes go into them.
From these, what communication costs at least with a network of a given latency and
bandwidth. No time is measured: virtual devices share the processor.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from math import prod
from typing import Any

COUNTS = (2, 8)
FLAGS = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1"
)
"""The exchanges are the same, and the program is compiled in less time."""
ROWS = 64
"""Of a device, in a step."""
WIDTHS = {"acoustic": 6373, "visual": 512, "text": 768}
LINKS = {"NVLink": (5e-6, 200e9), "100 Gb/s": (2e-5, 12e9), "10 Gb/s": (5e-5, 1.2e9)}
"""Seconds before the first byte of an exchange, and bytes a second."""

OWN = "acoustic + visual + text"
TAUGHT = f"{OWN} + 0.5*distill(visual >> acoustic)"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "own losses": (OWN, {}),
    "and cka": (f"{TAUGHT} + cka(text.hidden >> acoustic.hidden)", {}),
    "and rkd_distance": (
        f"{TAUGHT} + rkd_distance(text.hidden >> acoustic.hidden)",
        {},
    ),
    "upgrad, outputs": (
        TAUGHT,
        {"aggregator": "upgrad", "aggregation_level": "output"},
    ),
    "upgrad, parameters": (TAUGHT, {"aggregator": "upgrad"}),
}
SIZES = {"f64": 8, "s64": 8, "bf16": 2, "f16": 2, "pred": 1, "u8": 1, "s8": 1}
"""Bytes of a number; of all others 4."""

COLLECTIVE = re.compile(
    r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)"
    r"(?:-start)?\("
)


def collectives(program: str) -> list[tuple[str, int]]:
    """Return the kind and the bytes of every exchange in a compiled program."""
    found = []
    for shapes, kind in COLLECTIVE.findall(program):
        size = sum(
            SIZES.get(dtype, 4) * prod(int(n) for n in shape.split(",") if n)
            for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", shapes)
        )
        found.append((kind, size))
    return found


def program_of(objective: str, options: dict[str, Any], devices: int) -> str:
    """Return the compiled train step of the question's networks, as text."""
    import jax
    import keras
    import numpy as np

    import coloss

    def network(width: int) -> keras.Model:
        dense = keras.layers.Dense
        layers = [dense(256, "relu", name="hidden"), dense(6, "softmax")]
        return keras.Sequential([keras.Input((width,)), *layers])

    some = keras.distribution.list_devices("cpu")[:devices]
    distribution = keras.distribution.DataParallel(devices=some)
    rng = np.random.default_rng(0)
    rows = ROWS * devices
    x = {n: rng.normal(size=(rows, w)).astype("float32") for n, w in WIDTHS.items()}
    y = rng.integers(0, 6, size=rows)
    with distribution.scope():
        joint = coloss.JointModel({n: network(w) for n, w in WIDTHS.items()})
        told = {"objective": objective, "loss": "sparse_categorical_crossentropy"}
        joint.compile("adam", **told, **options)
        joint.train_on_batch(x, y)
        state = tuple(
            [variable.value for variable in variables]
            for variables in (
                joint.trainable_variables,
                joint.non_trainable_variables,
                joint.optimizer.variables,
                joint.metrics_variables,
            )
        )
        data = keras.tree.map_structure(
            lambda a: jax.device_put(
                a, distribution.get_data_layout(a.shape).backend_layout
            ),
            (x, dict.fromkeys(WIDTHS, y)),
        )
        return jax.jit(joint.train_step).lower(state, data).compile().as_text()


def least_seconds(count: int, size: int, devices: int, link: str) -> float:
    """Return what exchanges cost at least: as a ring, or as a tree, if that is less.

    Args:
        count: of exchanges.
        size: of all of them, bytes.
        devices: that take part.
        link: one of `LINKS`.
    """
    latency, bandwidth = LINKS[link]
    hops = 2 * (devices - 1).bit_length()
    return count * hops * latency + 2 * (devices - 1) / devices * size / bandwidth


def counted() -> None:
    """Print the tables; virtual devices are there."""
    print("| objective |", " | ".join(f"{n} devices" for n in COUNTS), "|")
    print("|---|" + "---|" * len(COUNTS))
    last: dict[str, tuple[int, int]] = {}
    for name, (objective, options) in CASES.items():
        cells = []
        for devices in COUNTS:
            found = collectives(program_of(objective, options, devices))
            size = sum(bytes_ for _, bytes_ in found)
            cells.append(f"{len(found)}: {size / 1e6:.2f} MB")
            last[name] = (len(found), size)
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    print("\nat least, milliseconds a step, with the exchanges of 8 devices\n")
    print("| objective, devices |", " | ".join(LINKS), "|")
    print("|---|" + "---|" * len(LINKS))
    for name in ("own losses", "and cka"):
        for devices in (8, 64, 1000):
            costs = [1e3 * least_seconds(*last[name], devices, link) for link in LINKS]
            print(f"| {name}, {devices} |", " | ".join(f"{c:.2f}" for c in costs), "|")


def main() -> int:
    """Start a process that sees virtual devices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().inside:
        counted()
        return 0
    chosen = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{FLAGS} --xla_force_host_platform_device_count={max(COUNTS)}",
    }
    command = [sys.executable, __file__, "--inside"]
    return subprocess.run(command, env={**os.environ, **chosen}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
