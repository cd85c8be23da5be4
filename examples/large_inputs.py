"""Inputs of real sizes, streamed: 768 numbers of text and 6373 of sound.

These are the widths of a BERT sentence embedding and of the ComParE acoustic features.
THE FEATURES ARE SYNTHETIC: made here from five classes, so the figures say
that the library runs at this size, and what a good and a poor helper do; nothing about
speech. Both views show the same hidden state of a row, the sound in 5 % of its features
and under noise, the text in half of them (a good helper) or in 5 % (a poor one, worse
than the main network). Every feature has its own unit and offset.

The features lie on disk, are standardized with the mean and scale of the training rows,
and are read batch by batch by a `PyDataset` (a generator of (x, y) does as well). The
layers differ in width: `hint` gets a projector, trained, and left behind when the main
network is deployed.

Run: python examples/large_inputs.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from measuring import accuracy, compare, figures, runs

import coloss

WIDTHS = {"acoustic": 6373, "text": 768}
HIDDEN = {"acoustic": 64, "text": 96}
NOISE = {"acoustic": 4.0, "text": 1.0}
HELPERS = {"good helper": 0.5, "poor helper": 0.05}  # the share of features that tell
CLASSES, LABELED = 5, 100
OBJECTIVE = (
    "acoustic + text + d*distill(text >> acoustic, temperature=4)"
    " + r*distill(text >> acoustic, temperature=4, gate='row')"
    " + n*distill(text >> acoustic, temperature=4, gate='network')"
    " + h*hint(text.hidden >> acoustic.hidden)"
)
# hint is a mean over 96 squares, 2 (1 - cosine) / 96: with 48 it is 1 - cosine.
ARMS = {
    "alone": {"d": 0.0, "r": 0.0, "n": 0.0, "h": 0.0},
    "hint": {"d": 0.0, "r": 0.0, "n": 0.0, "h": 48.0},
    "distill": {"d": 1.0, "r": 0.0, "n": 0.0, "h": 0.0},
    # By rows a helper without a label is believed as far as it is sure of itself;
    # by network, only if it is the better one: here, if it learned the labels faster.
    "gated by row": {"d": 0.0, "r": 1.0, "n": 0.0, "h": 0.0},
    "gated by network": {"d": 0.0, "r": 0.0, "n": 1.0, "h": 0.0},
}


def write_features(folder, rows, telling, seed):
    """Write both views of synthetic rows to disk; return tables and classes."""
    random = np.random.default_rng(seed)
    y = random.integers(0, CLASSES, rows)
    state = random.normal(size=(CLASSES, 24))[y] + random.normal(size=(rows, 24))
    tables = {}
    for name, width in WIDTHS.items():
        share = telling if name == "text" else 0.05
        seen = random.normal(size=(24, width)) * (random.random(width) < share)
        view = state @ seen + NOISE[name] * random.normal(size=(rows, width))
        units = np.exp(3 * random.normal(size=width))
        path = Path(folder) / f"{name}_{seed}.npy"
        np.save(path, (units * (view + 10)).astype("float32"))
        tables[name] = np.load(path, mmap_mode="r")
    return tables, y


class Stream(keras.utils.PyDataset):
    """Reads rows from disk, standardized, in a new order each epoch."""

    def __init__(self, tables, scales, y, rows, batch_size=100, seed=0):
        super().__init__()
        self.tables, self.scales, self.y = tables, scales, y
        self.rows, self.batch_size = rows, batch_size
        self.random = np.random.default_rng(seed)

    def __len__(self):
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, index):
        rows = self.rows[index * self.batch_size :][: self.batch_size]
        x = {name: self.scales[name](self.tables[name][rows]) for name in self.tables}
        return x, self.y[rows]

    def on_epoch_end(self):
        self.rows = self.random.permutation(self.rows)


def network(name):
    return keras.Sequential(
        [
            keras.Input((WIDTHS[name],)),
            keras.layers.Dense(HIDDEN[name], activation="relu", name="hidden"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def build():
    joint = coloss.JointModel({name: network(name) for name in WIDTHS})
    joint.compile(
        "adam",
        loss="sparse_categorical_crossentropy",
        objective=OBJECTIVE,
        coefficients={"d": 1.0, "r": 1.0, "n": 1.0, "h": 48.0},
    )
    return joint


def prepare(folder, seeds, rows, test_rows, telling):
    """Return, for each seed, tables on disk, their scales, and the classes."""
    found = []
    for seed in range(seeds):
        tables, y = write_features(folder, rows + test_rows, telling, seed)
        # Of the training rows only: the test rows must not be known to anything.
        fit = coloss.data.Standardizer.fit
        scales = {name: fit(table[:rows]) for name, table in tables.items()}
        found.append((tables, scales, y))
    return found


def train(data, epochs, rows):
    """Return test accuracies, and the last joint model."""
    found = {name: figures() for name in WIDTHS}
    example, _ = Stream(*data[0], np.arange(2))[0]
    for arm, seed, joint in runs(build, ARMS, len(data), example):
        tables, scales, y = data[seed]
        few = np.where(np.arange(len(y)) < LABELED, y, -1)
        batches = Stream(tables, scales, few, np.arange(rows), seed=seed)
        joint.fit(batches, epochs=epochs, verbose=0)
        test = Stream(tables, scales, y, np.arange(rows, len(y)), len(y) - rows)
        x, truth = test[0]
        for name in WIDTHS:
            found[name][arm, name].append(accuracy(joint[name], x[name], truth))
    return found, joint


def main(short=False):
    """Train, compare, and count what is deployed."""
    seeds, epochs, rows, test_rows = (2, 2, 200, 100) if short else (5, 20, 1000, 1000)
    results = {}
    for case, telling in list(HELPERS.items())[: 1 if short else 2]:
        with tempfile.TemporaryDirectory() as folder:
            data = prepare(folder, seeds, rows, test_rows, telling)
            found, joint = train(data, epochs, rows)
            del data  # Windows cannot delete files that are open.
        print(f"SYNTHETIC features, {case}, {LABELED} of {rows} rows labeled:")
        gains = compare(found["acoustic"], "alone")
        print(f"  the helper itself: {np.mean(found['text']['alone', 'text']):.3f}\n")
        results[case] = {"found": found, "gains": gains}
    counts = {name: joint[name].count_params() for name in WIDTHS}
    beside = joint.count_params() - sum(counts.values())
    print(f"parameters: {counts}; projector {beside}, not deployed")
    return {"results": results, "projector": beside, "joint": joint}


if __name__ == "__main__":
    main(short="--short" in sys.argv)
