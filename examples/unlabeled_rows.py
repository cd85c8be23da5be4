"""Few labeled rows and many unlabeled ones, in every batch.

Of 1000 digits 50 have a label, and they come from another source than the 950 that
have none. `coloss.data.mix` puts both into each batch, and the helpers' predictions
teach the main network (`fou`) on all of them: a transfer term needs no label.

Unlabeled rows can also be used without any helper, by self-training. What that gives
is no merit of the helpers, so it is the control here.

Run: python examples/unlabeled_rows.py
"""

from __future__ import annotations

import sys

import keras
from measuring import accuracy, compare, figures, runs

import coloss

VIEWS = ("fou", "kar", "pix")
# The two recipes, with a coefficient before each transfer term.
LEARN_FROM = coloss.recipes.learn_from("fou", ["kar", "pix"], weight="taught")
OBJECTIVE = f"{LEARN_FROM} + itself*pseudo_label(fou, threshold=0.95)"
ARMS = {
    "labels only": {"taught": 0.0, "itself": 0.0},
    "self-training": {"taught": 0.0, "itself": 1.0},
    "learn_from": {"taught": 0.5, "itself": 0.0},
}


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
        {view: network(coloss.data.WIDTHS[view]) for view in VIEWS}
    )
    joint.compile(
        "adam",
        loss="sparse_categorical_crossentropy",
        objective=OBJECTIVE,
        coefficients=ARMS["learn_from"],
    )
    return joint


def two_sources(n_labeled, seed):
    """Return labeled rows (x, y), unlabeled rows x, and the test rows."""
    split = coloss.data.load_digits_views(VIEWS, n_labeled, seed)
    x, y = split.train
    known = y >= 0
    labeled = {view: rows[known] for view, rows in x.items()}, y[known]
    unlabeled = {view: rows[~known] for view, rows in x.items()}
    return labeled, unlabeled, split.test


def train(seeds, epochs, n_labeled=50):
    """Return test accuracies, and the last mixture."""
    found, (_, example, _) = figures(), two_sources(n_labeled, 0)
    for arm, seed, joint in runs(build, ARMS, seeds, example):
        labeled, unlabeled, (x, y) = two_sources(n_labeled, seed)
        # 4 unlabeled rows beside each labeled one. An epoch is one pass over the
        # larger source (12 batches); the 50 labeled rows come around 5 times in it.
        batches = coloss.data.mix(
            labeled, unlabeled, ratio=4, batch_size=100, seed=seed
        )
        joint.fit(batches, epochs=epochs, verbose=0)
        for view in VIEWS:
            found[arm, view].append(accuracy(joint[view], x[view], y))
    return found, batches


def main(short=False):
    """Train and compare."""
    print(f"objective: {OBJECTIVE}")
    found, batches = train(*((2, 2) if short else (5, 40)))
    x, y = batches[0]
    print(f"a batch: {(y >= 0).sum()} labeled rows, {(y < 0).sum()} unlabeled ones")
    main_only = {key: value for key, value in found.items() if key[1] == "fou"}
    print("\nTest accuracy of the main network:")
    gains = compare(main_only, "labels only")
    paired = {
        ("self-training", "fou"): found["self-training", "fou"],
        ("learn_from", "fou"): found["learn_from", "fou"],
    }
    print("\nThe same against self-training:")
    gains["over self-training"] = compare(paired, "self-training")["learn_from", "fou"]
    return {"found": found, "gains": gains, "batch": (x, y)}


if __name__ == "__main__":
    main(short="--short" in sys.argv)
