"""Modalities that are missing at random, row by row.

Three networks see three views of the same digits, `fou`, `kar` and `pix`. Of each row
each view is lost with probability 0.4, independently, while training and in the test:
a row of NaN. So every network trains on other rows, and a helper teaches the main
network (`fou`) where both are present. Nothing is imputed, and no row is dropped.

Two answers are measured: is the main network better on the rows that have its input;
and what does the fused prediction (the mean over the networks that are present) give on
rows where something is missing, the main network's input included.

Run: python examples/missing_modalities.py
"""

from __future__ import annotations

import sys

import keras
import numpy as np
from measuring import compare, figures, runs

import coloss

VIEWS = ("fou", "kar", "pix")
LOST = 0.4
ARMS = {"alone": {"w": 0.0}, "taught": {"w": 0.5}}


def network(width):
    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def build():
    joint = coloss.JointModel(
        {view: network(coloss.data.WIDTHS[view]) for view in VIEWS},
        fuse="mean",
    )
    joint.compile(
        "adam",
        loss="sparse_categorical_crossentropy",
        objective=coloss.recipes.learn_from("fou", ["kar", "pix"], weight="w"),
        coefficients={"w": 0.5},
        metrics=["accuracy"],
    )
    return joint


def lose(x, seed):
    """Return the views with NaN rows in them, and which rows have which view."""
    random = np.random.default_rng(seed)
    lossy, here = {}, {}
    for view, rows in x.items():
        here[view] = random.random(len(rows)) >= LOST
        lossy[view] = np.where(here[view][:, None], rows, np.nan)
    return lossy, here


def train(seeds, epochs, n_labeled=200):
    """Return test accuracies, and the last joint model with its test rows."""
    found, split = figures(), coloss.data.load_digits_views(VIEWS)
    for arm, seed, joint in runs(build, ARMS, seeds, split.train[0]):
        split = coloss.data.load_digits_views(VIEWS, n_labeled, seed)
        x, y = split.train
        joint.fit(lose(x, seed)[0], y, epochs=epochs, batch_size=100, verbose=0)
        x, y = split.test
        x, here = lose(x, 1000 + seed)
        answers = joint.predict(x, batch_size=len(y), verbose=0)

        def right(name, rows, answers=answers, y=y):
            return float(np.mean(answers[name][rows].argmax(-1) == y[rows]))

        anything = here["fou"] | here["kar"] | here["pix"]
        damaged = anything & ~(here["fou"] & here["kar"] & here["pix"])
        found[arm, "fou, where it is"].append(right("fou", here["fou"]))
        found[arm, "fused, something missing"].append(right("fused", damaged))
        found[arm, "fused, fou missing"].append(right("fused", anything & ~here["fou"]))
    return found, joint, (x, y, here)


def main(short=False):
    """Train, compare, and look at the rows."""
    seeds, epochs = (2, 2) if short else (5, 60)
    found, joint, (x, y, here) = train(seeds, epochs)
    print(f"Test accuracy, each view missing on {LOST:.0%} of the rows:")
    gains = compare(found, "alone")
    for view in VIEWS:
        print(f"rows that have {view}: {here[view].sum()} of {len(y)}")
    # `evaluate` counts, for each network, the rows that it can see: the same figures.
    answers = joint.predict(x, batch_size=len(y), verbose=0)
    logs = joint.evaluate(x, y, batch_size=len(y), verbose=0, return_dict=True)
    shown = ", ".join(f"{name} {logs[f'{name}_accuracy']:.3f}" for name in answers)
    print(f"evaluate: {shown}")
    nothing = ~(here["fou"] | here["kar"] | here["pix"])
    unanswered = np.isnan(answers["fused"]).any(axis=-1)
    print(f"rows without any view, whose fused prediction is NaN: {unanswered.sum()}")
    return {
        "found": found,
        "gains": gains,
        "logs": logs,
        "answers": answers,
        "here": here,
        "nothing": nothing,
        "weights": joint.get_weights(),
    }


if __name__ == "__main__":
    main(short="--short" in sys.argv)
