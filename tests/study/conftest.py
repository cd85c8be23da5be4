"""What the tests of studies share: tiny networks and rows."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss
from coloss.data import Split

WIDTHS = {"main": 4, "helper": 3}
COMPILE = {
    "optimizer": "adam",
    "loss": "sparse_categorical_crossentropy",
    "metrics": ["accuracy"],
}


def network(width, *extras):
    layers = [keras.Input((width,)), keras.layers.Dense(5, "tanh", name="hidden")]
    output = keras.layers.Dense(3, "softmax", name="out")
    return keras.Sequential([*layers, *extras, output])


def build():
    return coloss.JointModel({n: network(w) for n, w in WIDTHS.items()}, fuse="mean")


def build_with_dropout():
    return coloss.JointModel(
        {n: network(w, keras.layers.Dropout(0.3)) for n, w in WIDTHS.items()}
    )


def build_with_statistics():
    return coloss.JointModel(
        {
            n: network(w, keras.layers.BatchNormalization(momentum=0.5))
            for n, w in WIDTHS.items()
        }
    )


def rows(count, random, unlabeled=0, missing=0):
    y = random.integers(0, 3, count).astype("int32")
    x = {
        name: (random.normal(size=(count, width)) + y[:, None]).astype("float32")
        for name, width in WIDTHS.items()
    }
    x["helper"][:missing] = np.nan
    y[count - unlabeled :] = -1
    return x, y


def split(seed, unlabeled=0, missing=0):
    random = np.random.default_rng(seed)
    return Split(
        rows(22, random, unlabeled, missing), rows(12, random), rows(12, random)
    )


def plain(seed):
    return split(seed)


def scarce(seed):
    return split(seed, unlabeled=9, missing=5)


@pytest.fixture
def study():
    """Return a maker of small studies; every argument can be replaced."""

    def make(**options):
        given = {
            "build": build,
            "data": plain,
            "arms": {
                "alone": "main",
                "taught": "main + helper + distill(helper >> main)",
            },
            "compile": COMPILE,
            "seeds": 2,
            "epochs": 3,
            "batch_size": 8,
            "main": "main",
            **options,
        }
        return coloss.Study(**given)

    return make


@pytest.fixture
def same_frames():
    """Return a comparison of two results, run by run."""

    def compare(one, other, atol=1e-5):
        first, second = one.frame, other.frame
        assert list(first.columns) == list(second.columns)
        for name in first.columns.drop("seconds"):
            if first[name].dtype.kind == "f":
                np.testing.assert_allclose(
                    first[name], second[name], atol=atol, rtol=1e-4, err_msg=name
                )
            else:
                assert first[name].tolist() == second[name].tolist(), name

    return compare
