"""What does a checkpoint at the end of every epoch cost?

Two `fit` of one joint model in one process take turns of some epochs, one of them
with `coloss.callbacks.Checkpoint(every="epoch")`; the ratio of each pair of neighbors
in time is noted, in seconds and in processor time of the whole process. The first epoch
of each turn is left out: no checkpoint is being written then. Networks of the
original question: inputs of 6373, 512 and 768, hidden layers of 256, batches of 64,
4096 rows, Adam. A checkpoint of them has 26 MB.

Run: KERAS_BACKEND=jax python benchmarks/checkpoint_cost.py
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import threading
import time

import keras
import numpy as np

import coloss

WIDTHS = {"acoustic": 6373, "visual": 512, "text": 768}
BATCH, CLASSES = 64, 10
WRITTEN = 0.5
"""Seconds after which a checkpoint is on the disk, before the other one's turn."""


def joint() -> coloss.JointModel:
    """Return a compiled joint model of the question's sizes."""
    keras.utils.set_random_seed(0)
    members = {
        name: keras.Sequential(
            [
                keras.Input((width,)),
                keras.layers.Dense(256, "relu"),
                keras.layers.Dense(256, "relu"),
                keras.layers.Dense(CLASSES, "softmax"),
            ]
        )
        for name, width in WIDTHS.items()
    }
    main, *helpers = members
    terms = [f"distill({one} >> {main}, temperature=4)" for one in helpers]
    model = coloss.JointModel(members)
    model.compile(
        "adam",
        loss="sparse_categorical_crossentropy",
        objective=" + ".join([*members, *terms]),
    )
    return model


class InTurn(keras.callbacks.Callback):
    """Lets one `fit` at a time train, for some epochs, and notes what an epoch took.

    Args:
        turns: that both share.
        place: 0 or 1.
        size: epochs of a turn, the first of which is not counted.
    """

    def __init__(self, turns: list[threading.Semaphore], place: int, size: int) -> None:
        """Note nothing yet."""
        super().__init__()
        self._turns, self._place, self._size = turns, place, size
        self.found: list[tuple[float, float]] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Wait for the turn, end it, or start the clock after its first epoch."""
        place, now = epoch % self._size, (time.perf_counter(), time.process_time())
        if place == 0:
            if epoch:
                self._leave(now)
            self._turns[self._place].acquire()
        elif place == 1:
            self._begun = now

    def on_train_end(self, logs: object = None) -> None:
        """End the last turn."""
        self._leave((time.perf_counter(), time.process_time()))

    def _leave(self, now: tuple[float, float]) -> None:
        counted = self._size - 1
        pairs = zip(now, self._begun, strict=True)
        wall, processor = ((end - begin) / counted for end, begin in pairs)
        self.found.append((wall, processor))
        time.sleep(WRITTEN)
        self._turns[1 - self._place].release()


def measured(
    rows: int, turns_each: int, size: int, folder: str
) -> list[list[tuple[float, float]]]:
    """Return seconds and processor time of an epoch, for every turn, without and with.

    Args:
        rows: of the data.
        turns_each: of each `fit`.
        size: epochs of a turn.
        folder: for checkpoints.
    """
    rng = np.random.default_rng(0)
    x = {n: rng.normal(size=(rows, w)).astype("float32") for n, w in WIDTHS.items()}
    y = rng.integers(0, CLASSES, rows)
    turns = [threading.Semaphore(1), threading.Semaphore(0)]
    clocks = [InTurn(turns, place, size) for place in (0, 1)]
    given = [[clocks[0]], [clocks[1], coloss.callbacks.Checkpoint(folder)]]
    models = [joint(), joint()]
    threads = [
        threading.Thread(
            target=model.fit,
            args=(x, y),
            kwargs={
                "batch_size": BATCH,
                "epochs": turns_each * size,
                "verbose": 0,
                "callbacks": callbacks,
            },
        )
        for model, callbacks in zip(models, given, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [clock.found for clock in clocks]


def main() -> None:
    """Print one line of the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--size", type=int, default=6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        without, with_it = measured(given.rows, given.turns, given.size, folder)
    cells = []
    for kind in (0, 1):
        pairs = [
            (one[kind], other[kind])
            for one, other in zip(without, with_it, strict=True)
        ][1:]
        ratios = [other / one for one, other in pairs]
        low, middle, high = statistics.quantiles(ratios, n=4)
        before = 1000 * statistics.median(one for one, _ in pairs)
        after = 1000 * statistics.median(other for _, other in pairs)
        cells.append(
            f"{before:.0f} | {after:.0f} | {middle:.3f} ({low:.3f} to {high:.3f})"
        )
    print(f"{os.cpu_count()} CPU cores, Python {platform.python_version()}")
    print(
        "| backend | epoch, ms | with | ratio | processor time, ms | with | ratio |\n"
        "|---|---|---|---|---|---|---|"
    )
    print(f"| {keras.backend.backend()} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
