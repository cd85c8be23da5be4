"""Trains on one device and on two replicas; prints what differs, as one JSON line."""

from __future__ import annotations

import json
import sys

import keras
import numpy as np
import tensorflow as tf

import coloss

ROWS, BATCH = 28, 16  # The last batch of 12 rows is split as well.
RNG = np.random.default_rng(0)
X = {name: RNG.normal(size=(ROWS, 4)).astype("float32") for name in "ab"}
Y = {name: RNG.integers(0, 3, ROWS) for name in "ab"}
Y["a"][2:8] = -1  # All in the first replica's half of the first batch.
X["b"][20:23] = np.nan
WEIGHT = RNG.uniform(0.5, 2.0, ROWS).astype("float32")

CASES = {
    "everything": {
        "objective": 'a + relu(a - 0.5*b) + log(1 + b) + distill(b >> a, gate="row")'
        " + hint(b.hidden >> a.hidden) + square(mean(a) - stop(mean(b)))",
        "weighted": True,
    },
    "sum": {"objective": "a + b"},
    "paper": {"objective": "w1*a + w2*(a - b)", "coefficients": {"w1": 1.0, "w2": 0.3}},
    "function": {"objective": "a + relu(a - 0.5*b) + log(1 + b)"},
    "means": {"objective": "a + b + square(mean(a) - stop(mean(b)))"},
    "distill": {"objective": "a + b + distill(b >> a)"},
    "hint": {"objective": "a + b + hint(b.hidden >> a.hidden)"},
    "row gate": {"objective": 'a + b + distill(b >> a, gate="row")'},
    "network gate": {"objective": 'a + b + distill(b >> a, gate="network")'},
    "window": {"objective": 'a + b + distill(b >> a, gate="network", start=1)'},
    "weights": {"objective": "a + b", "weighted": True},
    "relational": {"objective": "a + b + sp(b.hidden >> a.hidden)"},
    "ranked": {"objective": "a + coteach(b >> a)"},
    "combined": {"objective": "a + b + distill(b >> a)", "aggregator": "upgrad"},
    "infinite": {"objective": "10000*a + b", "infinite": True},
}

ALONE = ("relational", "ranked", "combined", "infinite")


def trained(case, strategy):
    keras.utils.set_random_seed(1)
    scope = strategy.scope() if strategy else tf.name_scope("alone")
    case = dict(case)
    weighted, infinite = case.pop("weighted", False), case.pop("infinite", False)
    with scope:
        members = {
            name: keras.Sequential(
                [
                    keras.Input((4,)),
                    keras.layers.Dense(5, "tanh", name="hidden"),
                    keras.layers.Dense(3),
                ]
            )
            for name in "ab"
        }
        joint = coloss.JointModel(members)
        joint.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            on_ascent="allow",
            **case,
        )
    x = dict(X)
    if infinite:
        # tanh is at 1: the loss is finite, the gradient of the kernel is not.
        joint["a"].layers[0].set_weights([np.zeros((4, 5)), np.zeros(5)])
        x["a"] = np.full_like(X["a"], 3e38)
    start = [w.copy() for w in joint.get_weights()]
    options = {"batch_size": BATCH, "verbose": 0}
    weight = WEIGHT if weighted else None
    error = None
    try:
        history = joint.fit(
            x, Y, sample_weight=weight, epochs=2, shuffle=False, **options
        ).history
        logs = joint.evaluate(x, Y, return_dict=True, **options)
    except (ValueError, coloss.NonFiniteLossError) as found:
        error, history, logs = f"{type(found).__name__}: {found}", {}, {}
    kept = all(
        np.array_equal(u, v) for u, v in zip(start, joint.get_weights(), strict=True)
    )
    return {
        "history": {k: [float(v) for v in values] for k, values in history.items()},
        "logs": {k: float(v) for k, v in logs.items()},
        "weights": [w.ravel().tolist() for w in joint.get_weights()],
        "error": error,
        "kept": kept,
    }


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in sys.argv[1:] or CASES:
        # What is refused, or stops, has nothing to be compared with.
        one = None if name in ALONE else trained(CASES[name], None)
        two = trained(CASES[name], strategy)
        print(json.dumps({"case": name, "one": one, "two": two}), flush=True)


if __name__ == "__main__":
    main()
