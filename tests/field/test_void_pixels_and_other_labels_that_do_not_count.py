"""Void pixels (255), -1 in flat yes/no labels, classes on another axis.

Source: keras-team/keras issue 21907, "class id ignore clarification in IOU metrics",
and pull request 22284, "Add ignore_class parameter to SparseCategoricalCrossentropy".
-1 in flat yes/no labels and `axis=1`: found by trying.

Table of neighbors: `ignore_class` of a class that exists, of 255, of -1 and -100 x
integer dtypes x rows, steps, pixels x loss, accuracy and what terms read as labels.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import losses, ops

import coloss

pytestmark = pytest.mark.backend

ROWS = 6
SHAPES = {"rows": (), "steps": (5,), "pixels": (2, 3)}


def as_it_is(shape):
    return keras.Sequential([keras.Input(shape), keras.layers.Identity()])


def probabilities(shape, seed=0):
    z = np.exp(np.random.default_rng(seed).normal(size=(ROWS, *shape, 3)))
    return (z / z.sum(-1, keepdims=True)).astype("float32")


def evaluated(x, y, loss, **options):
    joint = coloss.JointModel({"a": as_it_is(x.shape[1:])})
    joint.compile(loss=loss, run_eagerly=True, on_ascent="allow", **options)
    return joint.evaluate({"a": x}, y, verbose=0, return_dict=True)


IGNORED = [(0, "int64"), (2, "int32"), (255, "uint8"), (255, "int64"), (-1, "int64")]
IGNORED += [(-100, "int64"), (255, "float32")]


@pytest.mark.parametrize("rank", SHAPES)
@pytest.mark.parametrize(("ignored", "dtype"), IGNORED)
def test_ignored_positions_count_nowhere(ignored, dtype, rank):
    x = probabilities(SHAPES[rank])
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, size=x.shape[:-1])
    # As many in each row, so that a mean over rows is the mean over positions.
    void = np.zeros(y.shape, bool)
    if rank == "rows":
        void[::2] = True
    else:
        void.reshape(ROWS, -1)[:, 1:3] = True
        y[y == ignored] = 1
    y[void] = ignored
    void = y == ignored
    loss = losses.SparseCategoricalCrossentropy(ignore_class=ignored)
    found = evaluated(x, y.astype(dtype), loss, metrics=["accuracy"])
    chosen = np.take_along_axis(x, np.where(void, 0, y)[..., None], -1)[..., 0]
    expected = -np.log(chosen.astype("float64"))[~void].mean()
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    hits = (x.argmax(-1) == y)[~void].mean()
    assert found["a_accuracy"] == pytest.approx(hits, rel=1e-5)
    if ignored >= 0:  # Keras takes a negative class for one that does not exist.
        own = float(loss(np.asarray(y, "int64"), ops.convert_to_tensor(x)))
        assert own == pytest.approx(expected, rel=1e-5)


def test_ignored_rows_are_no_labels_of_a_term():
    x, y = probabilities(()), np.array([0, 1, 2, 255, 255, 1])
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    joint = coloss.JointModel({"a": as_it_is((3,)), "b": as_it_is((3,))})
    joint.compile(loss=loss, objective="a + dkd(b >> a)", run_eagerly=True)
    inputs = {"a": x, "b": probabilities((), 2)}
    found = joint.evaluate(inputs, y, verbose=0, return_dict=True)
    kept = {name: values[y != 255] for name, values in inputs.items()}
    expected = joint.evaluate(kept, y[y != 255], verbose=0, return_dict=True)
    assert found["dkd(b >> a)"] == pytest.approx(expected["dkd(b >> a)"], rel=1e-5)
    assert found["a_loss"] == pytest.approx(expected["a_loss"], rel=1e-5)


@pytest.mark.parametrize("dtype", ["int64", "float32"])
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("rank", SHAPES)
def test_minus_one_in_yes_or_no_labels_is_left_out(rank, column, dtype):
    x = np.random.default_rng(2).uniform(0.1, 0.9, (ROWS, *SHAPES[rank], 1))
    x = x.astype("float32")
    y = np.random.default_rng(3).integers(0, 2, size=x.shape[:-1])
    y.reshape(ROWS, -1)[:3, 0] = -1
    given = (y[..., None] if column else y).astype(dtype)
    found = evaluated(x, given, "binary_crossentropy", metrics=["accuracy"])
    p, known = x[..., 0].astype("float64"), y >= 0
    values = np.where(known, -np.log(np.where(y > 0, p, 1 - p)), 0)
    axes = tuple(range(1, y.ndim))
    rows = values.sum(axes) / np.maximum(known.sum(axes), 1)
    some = known.any(axes) if axes else known
    assert found["loss"] == pytest.approx(rows[some].mean(), rel=1e-5)
    hits = ((p > 0.5) == y)[known].mean()
    assert found["a_accuracy"] == pytest.approx(hits, rel=1e-5)


@pytest.mark.parametrize("metric", ["accuracy", "crossentropy"])
@pytest.mark.parametrize("kind", ["integers", "one-hot"])
def test_classes_on_another_axis(kind, metric):
    steps = 5
    p = probabilities((steps,))
    x = np.moveaxis(p, -1, 1)
    y = np.random.default_rng(4).integers(0, 3, size=(ROWS, steps))
    loss, given = losses.SparseCategoricalCrossentropy(axis=1), y
    if kind == "one-hot":
        given = np.moveaxis(np.eye(3, dtype="float32")[y], -1, 1)
        loss = losses.CategoricalCrossentropy(axis=1)
    found = evaluated(x, given, loss, metrics=[metric])
    chosen = np.take_along_axis(p, y[..., None], -1)[..., 0].astype("float64")
    expected = {"accuracy": p.argmax(-1) == y, "crossentropy": -np.log(chosen)}
    assert found["loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-5)
    assert found[f"a_{metric}"] == pytest.approx(expected[metric].mean(), rel=1e-5)
