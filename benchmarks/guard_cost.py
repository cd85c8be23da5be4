"""What does the guard against numbers that are not finite cost?

Two equal joint models in one process, one with the guarded step and one with Keras's
own (`guarded = False`), train in turn; the ratio of each pair of neighbors in time is
noted, and their median is the cost. Whatever else the machine does slows both.
`steps_per_execution` is the default, "auto", and 1: in blocks of steps the guard looks
at what a block leaves, taken one by one at every gradient.

Run: KERAS_BACKEND=jax python benchmarks/guard_cost.py
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np

import coloss

SIZES = {
    "question": ({"acoustic": 6373, "visual": 512, "text": 768}, (256, 256)),
    "demo": ({"pixels": 64, "strokes": 16, "zones": 20}, (64, 64)),
}
BATCH = 64
STEPS = {"question": 48, "demo": 128}


def joint(size: str, guarded: bool, optimizer, steps: int | str) -> coloss.JointModel:
    """Return a compiled joint model whose networks start alike."""
    widths, hidden = SIZES[size]
    keras.utils.set_random_seed(0)
    members = {
        name: keras.Sequential(
            [
                keras.Input((width,)),
                *(keras.layers.Dense(units, "relu") for units in hidden),
                keras.layers.Dense(10, "softmax"),
            ]
        )
        for name, width in widths.items()
    }
    main, *helpers = members
    terms = [f"distill({helper} >> {main}, temperature=4)" for helper in helpers]
    model = coloss.JointModel(members)
    model.compile(
        keras.optimizers.get(optimizer),
        steps_per_execution=steps,
        loss="sparse_categorical_crossentropy",
        objective=" + ".join([*members, *terms]),
        metrics=["accuracy"],
    )
    model.guarded = guarded
    return model


def paired(
    first: Callable[[], float], second: Callable[[], float], rounds: int
) -> list[tuple[float, float]]:
    """Return seconds of both, in turn; who goes first changes each time."""
    pairs = []
    for turn in range(rounds):
        if turn % 2:
            seconds = second()
            pairs.append((first(), seconds))
        else:
            seconds = first()
            pairs.append((seconds, second()))
    return pairs


def measured(
    size: str, optimizer: str, rounds: int, per_execution: int | str
) -> dict[str, float]:
    """Return the median ratio with its quartiles, and milliseconds a step."""
    widths, _ = SIZES[size]
    steps = STEPS[size]
    rng = np.random.default_rng(0)
    rows = steps * BATCH
    x = {
        name: rng.normal(size=(rows, width)).astype("float32")
        for name, width in widths.items()
    }
    y = rng.integers(0, 10, rows)

    def timed(model) -> Callable[[], float]:
        def run() -> float:
            start = time.perf_counter()
            model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
            return time.perf_counter() - start

        return run

    with_guard = timed(joint(size, True, optimizer, per_execution))
    without = timed(joint(size, False, optimizer, per_execution))
    for _ in range(3):  # compile and warm up
        with_guard(), without()
    pairs = paired(with_guard, without, rounds)
    ratios = sorted(one / other for one, other in pairs)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": middle,
        "low": low,
        "high": high,
        "guarded": 1000 * statistics.median(one for one, _ in pairs) / steps,
        "unguarded": 1000 * statistics.median(other for _, other in pairs) / steps,
    }


def main() -> None:
    """Print one line of the table for each size and optimizer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--optimizers", nargs="+", default=["adam", "sgd"])
    parser.add_argument("--steps", nargs="+", default=["auto", "1"])
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} CPU cores, Python {platform.python_version()}")
    print("| backend | sizes | optimizer | steps | unguarded, ms | guarded | ratio |")
    print("|---|---|---|---|---|---|---|")
    for size, name, steps in itertools.product(
        arguments.sizes, arguments.optimizers, arguments.steps
    ):
        given = steps if steps == "auto" else int(steps)
        found = measured(size, name, arguments.rounds, given)
        print(
            f"| {keras.backend.backend()} | {size} | {name} | {steps} "
            f"| {found['unguarded']:.3f} | {found['guarded']:.3f} "
            f"| {found['ratio']:.3f} ({found['low']:.3f} to {found['high']:.3f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
