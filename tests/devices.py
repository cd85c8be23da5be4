"""Trains on several virtual devices, and compares weights with those of one device.

    python -m tests.devices --devices 2 4 8 --steps 50

Every transfer term, weighting and aggregator, with unlabeled and missing rows unevenly
spread over the devices. A table of the greatest differences is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
ROWS, BATCH, BOUND = 48, 24, 1e-5
NAMES = ("main", "helper", "third")
OWN = "main + helper + 0.5*third"
FLAGS = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1"
)
"""Programs this small are compiled many times, and run for a moment each."""

TERMS = {
    "distill": "distill((helper, third) >> main, temperature=2)",
    "match_logits": "match_logits(helper >> main)",
    "mutual": "mutual(main, helper, third)",
    "dkd": "dkd(helper >> main)",
    # With a weight of 1 this training is chaotic: on one device, a nudge of one
    # kernel by 2e-7 grows to 5e-5.
    "dist": "0.05*dist(helper >> main)",
    "consensus": "consensus((helper, third) >> main)",
    "coteach": "coteach(helper >> main, temperature=2)",
    "hint": "hint(helper.hidden >> main.hidden)",
    "vid": "vid(helper.hidden >> main.hidden)",
    "attention": "attention(helper.maps >> main.maps)",
    "contrast": "contrast(helper.hidden >> main.hidden, temperature=1)",
    "cka": "cka(helper.hidden >> main.hidden)",
    "sp": "sp(helper.hidden >> main.hidden)",
    "rkd_distance": "rkd_distance(helper.hidden >> main.hidden)",
    "rkd_angle": "rkd_angle(helper.hidden >> main.hidden, max_rows=6)",
    "pkt": "pkt(helper.hidden >> main.hidden)",
    "pseudo_label": "pseudo_label(main, threshold=0.4)",
}
OTHERS = {
    "own losses": OWN,
    "formula": "main + 0.5*(main - helper) + relu(mean(third) - stop(mean(main)))"
    " + 0.1*max(helper, third)/mean(helper)",
    "gate=network": f'{OWN} + distill(helper >> main, gate="network")',
    "gate=row": f'{OWN} + distill(helper >> main, gate="row")',
}


@dataclass
class Case:
    """What is trained.

    Attributes:
        objective: as text.
        compiled: other arguments of `compile`.
    """

    objective: str
    compiled: dict[str, Any] = field(default_factory=dict)


def cases() -> dict[str, Case]:
    """Return every transfer term, weighting and aggregator, and the language."""
    from coloss.aggregation.registry import AGGREGATORS
    from coloss.transfer import TERMS as KNOWN
    from coloss.weighting.methods import METHODS

    if missing := set(KNOWN) ^ set(TERMS):
        raise LookupError(f"terms without a case here, or the other way: {missing}")
    taught = f"{OWN} + {TERMS['distill']} + {TERMS['cka']}"
    found = {name: Case(text) for name, text in OTHERS.items()}
    found |= {name: Case(f"{OWN} + {text}") for name, text in TERMS.items()}
    for name in METHODS:
        text = OWN if METHODS[name].kind == "network" else taught
        found[f"weighting={name}"] = Case(text, {"weighting": name})
    for name, kind in AGGREGATORS.items():
        method = kind(primary=0) if name == "PCD" else kind()
        found[f"aggregator={name}"] = Case(taught, {"aggregator": method})
    return found


def data() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return inputs and labels; of some shards, none are labeled or none are there."""
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(ROWS, 6)).astype("float32") for name in NAMES}
    label = np.where(x["main"][:, 0] > 0, 1, 0) + (x["helper"][:, 1] > 0.5)
    y = {name: label.astype("int32") for name in NAMES}
    y["main"][6:24] = -1
    y["helper"][30:42] = -1
    x["helper"][:5] = np.nan
    x["third"][20:33] = np.nan
    return x, y


def network(name: str) -> Any:
    """Return a small network with a layer of positions and one of features."""
    import keras

    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Reshape((6, 1)),
            keras.layers.Conv1D(3, 2, activation="tanh", name="maps"),
            keras.layers.Flatten(),
            keras.layers.Dense(6, "tanh", name="hidden"),
            keras.layers.Dense(3, "softmax"),
        ],
        name=f"net_{name}",
    )


def build(case: Case) -> Any:
    """Return a joint model, compiled, with the weights of a seed."""
    import keras

    import coloss

    keras.utils.set_random_seed(3)
    joint = coloss.JointModel({name: network(name) for name in NAMES})
    # Adam scales small differences up; its epsilon decides where the sign is noise.
    joint.compile(
        **{
            "optimizer": keras.optimizers.Adam(0.01, epsilon=1e-3),
            "loss": "sparse_categorical_crossentropy",
            "objective": case.objective,
            "on_ascent": "allow",
            "metrics": ["accuracy"],
            **case.compiled,
        }
    )
    return joint


def train(case: Case, steps: int) -> dict[str, np.ndarray]:
    """Return what a training leaves: weights, losses, and predictions."""
    import keras

    joint, (x, y) = build(case), data()
    epochs = max(1, steps * BATCH // ROWS)
    validates = {"validation_data": (x, y)} if "blending" in str(case) else {}
    options = {"batch_size": BATCH, "epochs": epochs, "verbose": 0}
    history = joint.fit(x, y, **options, **validates).history
    found = {
        f"{i} {v.name}": keras.ops.convert_to_numpy(v.value)
        for i, v in enumerate(joint.trainable_variables)
    }
    found["loss"] = np.array(history["loss"])
    if case.compiled or case.objective not in OTHERS.values():
        return found
    scores = joint.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True)
    found |= {f"evaluate {name}": np.array(one) for name, one in scores.items()}
    said = joint.predict(x, batch_size=BATCH, verbose=0)
    return found | {f"predict {name}": one for name, one in said.items()}


def greatest(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Return the greatest difference of two trainings; NaN in one only: infinite."""
    worst = 0.0
    for name, one in expected.items():
        same = np.isnan(found[name]) == np.isnan(one)
        gap = np.nan_to_num(np.abs(found[name] - one)).max(initial=0.0)
        worst = max(worst, float(gap) if same.all() else np.inf)
    return worst


def compared(names: list[str], counts: list[int], steps: int) -> dict[str, Any]:
    """Train each case on one device and on so many; return differences or errors.

    Args:
        names: of cases; none: all.
        counts: of devices.
        steps: of a training, at the least.
    """
    import keras

    found: dict[str, Any] = {}
    for name, case in cases().items():
        if names and name not in names:
            continue
        expected = train(case, steps)
        found[name] = {}
        for count in counts:
            devices = keras.distribution.list_devices("cpu")[:count]
            with keras.distribution.DataParallel(devices=devices).scope():
                try:
                    gap: Any = greatest(train(case, steps), expected)
                except Exception as error:
                    gap = f"{type(error).__name__}: {error}"
            found[name][str(count)] = gap
        print(name, found[name], file=sys.stderr, flush=True)
    return found


def started(
    arguments: list[str], devices: int, module: str = "tests.devices"
) -> subprocess.CompletedProcess[str]:
    """Run a module in a process that sees so many virtual devices."""
    flags = f"{FLAGS} --xla_force_host_platform_device_count={devices}"
    chosen = {"KERAS_BACKEND": "jax", "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **chosen},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def main() -> int:
    """Print the table, and return 0 if every difference is within the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="by name; none: all")
    parser.add_argument("--devices", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(compared(given.cases, given.devices, given.steps)))
        return 0
    told = [*given.cases, "--steps", str(given.steps), "--inside"]
    counts = ["--devices", *map(str, given.devices)]
    done = started([*told, *counts], max(given.devices))
    if done.returncode:
        return done.returncode
    found = json.loads(done.stdout)
    print("| case |", " | ".join(f"{n} devices" for n in given.devices), "|")
    print("|---|" + "---|" * len(given.devices))
    good = True
    for name, gaps in found.items():
        good &= all(isinstance(g, float) and g <= BOUND for g in gaps.values())
        shown = [f"{g:.1e}" if isinstance(g, float) else g for g in gaps.values()]
        print(f"| {name} |", " | ".join(shown), "|")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
