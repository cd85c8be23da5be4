"""Three networks that teach one another: no main network, no teacher.

`mutual` draws each network to all others. `consensus` draws each to one mixture of the
others; with the default, their mean, its gradient is that of `mutual`, so here each
network trusts the others row by row as far as they are better than itself (`gated`).
Neither needs labels, so most rows have none. Every network is compared with itself
trained alone: mutual learning may lift the weak ones and pull down the strong one, and
an average over the networks would hide that.

Run: python examples/mutual_learning.py
"""

from __future__ import annotations

import sys

import keras
from measuring import accuracy, compare, figures, runs

import coloss

VIEWS = ("fou", "kar", "zer")
OBJECTIVE = (
    "fou + kar + zer"
    " + m*mutual(fou, kar, zer, temperature=4)"
    " + c*consensus((kar, zer) >> fou, how='gated')"
    " + c*consensus((fou, zer) >> kar, how='gated')"
    " + c*consensus((fou, kar) >> zer, how='gated')"
)
ARMS = {
    "alone": {"m": 0.0, "c": 0.0},
    "mutual": {"m": 1.0, "c": 0.0},
    "consensus": {"m": 0.0, "c": 1.0},
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
        coefficients={"m": 1.0, "c": 1.0},
    )
    return joint


def train(seeds, epochs, n_labeled=100):
    """Return test accuracies by (arm, network)."""
    found, split = figures(), coloss.data.load_digits_views(VIEWS)
    for arm, seed, joint in runs(build, ARMS, seeds, split.train[0]):
        split = coloss.data.load_digits_views(VIEWS, n_labeled, seed)
        joint.fit(*split.train, epochs=epochs, batch_size=100, verbose=0)
        x, y = split.test
        for view in VIEWS:
            found[arm, view].append(accuracy(joint[view], x[view], y))
    return found


def main(short=False):
    """Show who learns from whom, train, and compare each network with itself."""
    explanation = build().explain()
    for edge in explanation.edges:
        print(f"{edge.learner} learns from {edge.source}: {edge.term}")
    found = train(*((2, 2) if short else (5, 60)))
    print("\nTest accuracy of each network, 100 of 1000 rows labeled:")
    gains = compare(found, "alone")
    return {"found": found, "gains": gains, "edges": explanation.edges}


if __name__ == "__main__":
    main(short="--short" in sys.argv)
