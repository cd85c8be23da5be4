"""Padded sequences in a study: the population on JAX counts what `fit` counts.

Found by trying: sequences with padding, as of keras-team/keras issue 4752, through both
engines of a study.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss
from coloss.data import Split

COMPILE = {
    "optimizer": "sgd",
    "loss": keras.losses.SparseCategoricalCrossentropy(ignore_class=9),
    "metrics": ["accuracy"],
}


def build():
    def network():
        return keras.Sequential(
            [
                keras.Input((4, 2)),
                keras.layers.Masking(0.0),
                keras.layers.Dense(3, "softmax"),
            ]
        )

    return coloss.JointModel({"main": network(), "helper": network()})


def rows(count, random):
    x = random.normal(size=(count, 4, 2)).astype("float32")
    lengths = random.integers(1, 5, size=count)
    x[np.arange(4) >= lengths[:, None]] = 0.0
    y = random.integers(0, 3, size=(count, 4)).astype("int32")
    y[random.uniform(size=y.shape) < 0.2] = 9
    return {"main": x, "helper": x}, y


def split(seed):
    random = np.random.default_rng(seed)
    return Split(rows(14, random), rows(6, random), rows(6, random))


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the population runs on JAX"
)
def test_both_engines_count_the_same_positions():
    study = coloss.Study(
        build,
        split,
        arms={"both": "main + helper"},
        compile=COMPILE,
        seeds=2,
        epochs=2,
        batch_size=7,
        main="main",
    )
    frames = [
        study.run(engine, verbose=False).frame for engine in ("jax", "sequential")
    ]
    names = [name for name in frames[0] if name.startswith(("test_", "validation_"))]
    assert names
    for name in names:
        np.testing.assert_allclose(frames[0][name], frames[1][name], atol=1e-5)
