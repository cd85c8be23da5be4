"""Fifty steps end at the same weights on every backend, to 1e-4.

The expected numbers were computed on PyTorch. The tests take eleven combinations; every
method is compared by
`KERAS_BACKEND=... python -m tests.joint.balance.test_balance_equal`, and written anew
with `--write`. Random numbers are not those of the backend, which differ,
but made from the seed's state by whole numbers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from coloss import aggregation, weighting
from coloss.joint import JointModel

pytestmark = pytest.mark.backend
PINNED = Path(__file__).with_name("balance_pinned.json")
TAUGHT = "a + b + 0.3*c + 2*distill((b, c) >> a) + 0.3*sp(b.hidden >> a.hidden)"
SUMS = "a + b + 0.4*(2*a + b + c) + 0.1*c"
CASES = {
    "uncertainty": {"weighting": "uncertainty"},
    "dwa": {"weighting": "dwa"},
    "gradnorm": {"weighting": "gradnorm"},
    "mmpareto": {"weighting": "mmpareto"},
    "ogmge": {"weighting": weighting.OGMGE(noise=False)},
    "upgrad": {"aggregator": "upgrad"},
    "nashmtl, outputs": {"aggregator": "nashmtl", "aggregation_level": "output"},
    "mgda, coefficients": {
        "aggregator": "mgda",
        "aggregation_level": "coefficient",
        "objective": SUMS,
    },
    "imtl": {"weighting": "imtll", "aggregator": "imtlg"},
    "famo and cagrad": {"weighting": "famo", "aggregator": "cagrad"},
    "random weights, orders": {"weighting": "random_weights", "aggregator": "pcgrad"},
}

EVERY = {
    **{
        name: {"weighting": name}
        for name in ("geometric_mean", "imtll", "famo", "minimax", "agm")
    },
    "gradient_blending": {"weighting": "gradient_blending"},
    **{
        name: {"aggregator": name}
        for name in ("sum", "mean", "mgda", "imtlg", "cagrad", "nashmtl")
    },
    **{name: {"aggregator": name} for name in ("alignedmtl", "dualproj")},
    "pcd": {"aggregator": aggregation.PCD(primary="a")},
    "upgrad, outputs": {"aggregator": "upgrad", "aggregation_level": "output"},
    "random": {"aggregator": "random"},
    "gradvac": {"aggregator": "gradvac"},
    "random_weights": {"weighting": "random_weights"},
    "pcgrad": {"aggregator": "pcgrad"},
    "ogmge, noise": {"weighting": "ogmge"},
}
"""The methods that the tests leave out."""


def drawn(shape, seed, dtype="float32"):
    """Return numbers below 1 that whole numbers decide: the same on every backend."""
    step = keras.ops.cast(seed.next()[1], "int32")
    places = np.arange(int(np.prod(shape)), dtype="int32") * 1047
    numbers = (keras.ops.convert_to_tensor(places) + step * 7919 + 17) % 9973
    return keras.ops.reshape(keras.ops.cast(numbers, dtype), shape) / 9973


def normal(shape, dtype="float32", seed=None):
    return (drawn(shape, seed, dtype) - 0.5) * 12**0.5


def uniform(shape, dtype="float32", seed=None):
    return drawn(shape, seed, dtype)


def train(options):
    """Return what `trained` does, with random numbers that no backend makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.random, "normal", normal)
        patch.setattr(keras.random, "uniform", uniform)
        return trained(options)


def trained(options):
    """Return five numbers that depend on every weight after 50 steps."""
    rng = np.random.default_rng(3)
    members = {}
    for name in "abc":
        members[name] = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(5, "tanh", name="hidden"),
                keras.layers.Dense(3, "softmax", name="out"),
            ]
        )
        shapes = [w.shape for w in members[name].get_weights()]
        members[name].set_weights([rng.normal(size=s) * 0.6 for s in shapes])
    x = {n: rng.normal(size=(40, 4)).astype("float32") for n in "abc"}
    y = rng.integers(0, 3, 40)
    model = JointModel(members)
    options = {"objective": TAUGHT, **options}
    model.compile(
        keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy", **options
    )
    held_out = (x, y) if options.get("weighting") == "gradient_blending" else None
    model.fit(
        x,
        y,
        batch_size=8,
        epochs=10,
        shuffle=False,
        verbose=0,
        validation_data=held_out,
    )
    flat = [w.ravel() for m in members.values() for w in m.get_weights()]
    weights = np.concatenate(flat).astype("float64")
    return rng.normal(size=(5, weights.size)) @ weights / weights.size**0.5


@pytest.mark.parametrize("case", CASES)
def test_fifty_steps_agree(case):
    expected = json.loads(PINNED.read_text())[case]
    np.testing.assert_allclose(train(CASES[case]), expected, atol=1e-4)


def main(write):
    """Compare every method with the expected numbers, or write these."""
    found = {name: train(options) for name, options in (CASES | EVERY).items()}
    if write:
        lists = {name: numbers.tolist() for name, numbers in found.items()}
        PINNED.write_text(json.dumps(lists, indent=1) + "\n")
        return
    expected = json.loads(PINNED.read_text())
    for name, numbers in found.items():
        print(f"{name}: {np.abs(numbers - expected[name]).max():.1e}")


if __name__ == "__main__":
    main(write="--write" in sys.argv)
