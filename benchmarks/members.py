"""How do compile time and step time grow with the number of members?

One main network and 1 to 63 helpers of one size, each with its own loss and a
`distill(helper >> main)`. Processor time of the first epoch (tracing and compiling,
mostly) and of a later step; growth against the smallest number of members: at most
that of the members is linear or better.

Run: KERAS_BACKEND=jax python benchmarks/members.py
"""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np

import coloss

WIDTH, HIDDEN, CLASSES, BATCH, STEPS = 32, 32, 10, 64, 16


def network() -> keras.Model:
    """Return one classifier."""
    return keras.Sequential(
        [
            keras.Input((WIDTH,)),
            keras.layers.Dense(HIDDEN, "relu"),
            keras.layers.Dense(CLASSES, "softmax"),
        ]
    )


def measured(count: int, epochs: int) -> tuple[float, float]:
    """Return seconds of the first epoch, and of a step after it."""
    names = [f"n{index}" for index in range(count)]
    rng = np.random.default_rng(0)
    x = {n: rng.normal(size=(BATCH * STEPS, WIDTH)).astype("f4") for n in names}
    y = rng.integers(0, CLASSES, BATCH * STEPS)
    keras.utils.set_random_seed(0)
    model = coloss.JointModel({name: network() for name in names})
    main, *helpers = names
    terms = [f"distill({helper} >> {main})" for helper in helpers]
    model.compile(
        "adam", "sparse_categorical_crossentropy", " + ".join([*names, *terms])
    )
    start = time.process_time()
    model.fit(x, y, batch_size=BATCH, verbose=0)
    first = time.process_time() - start
    start = time.process_time()
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return first, (time.process_time() - start) / (epochs * STEPS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", nargs="+", type=int, default=[2, 4, 8, 16, 32, 64])
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    measured(2, 1)  # What is made once in a process.
    print("| members | first epoch, s | growth | step, ms | growth |")
    print("|---|---|---|---|---|")
    start = None
    for count in arguments.members:
        found = measured(count, arguments.epochs)
        start = start or found
        cells = [f"{found[0]:.2f}", f"{found[0] / start[0]:.1f}"]
        cells += [f"{1000 * found[1]:.2f}", f"{found[1] / start[1]:.1f}"]
        print(f"| {count} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
