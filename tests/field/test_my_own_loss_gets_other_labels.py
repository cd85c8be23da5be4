"""My own loss is given other labels than plain Keras gives it, or another rank.

Source: keras-team/keras issue 19662, "Shape error for some use cases of
`binary_crossentropy`" (flat targets beside outputs of one column); labels of unsigned
and negative integers: found by trying.

Table of neighbors: an own function and an own class x dtypes (int8, uint8, int64, bool,
float32) x signs x ranks of labels and outputs; each beside plain Keras's `evaluate` of
the same network alone.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import losses, ops

import coloss

pytestmark = pytest.mark.backend

ROWS = 6
RNG = np.random.default_rng(0)


def squared(y_true, y_pred):
    return ops.mean(ops.square(y_pred - y_true), axis=-1)


def signed(y_true, y_pred):
    return ops.mean(ops.square(y_pred - (2 * y_true - 1)), axis=-1)


class Squared(losses.Loss):
    def call(self, y_true, y_pred):
        return squared(y_true, y_pred)


class Signed(losses.Loss):
    def call(self, y_true, y_pred):
        return signed(y_true, y_pred)


OWN = {"function": squared, "2y-1": signed, "class": Squared(), "class 2y-1": Signed()}
LABELS = {
    "int64 of both signs": np.array([-3, -2, -1, 0, 2, 3]),
    "int8": np.array([-1, -1, 0, 1, 100, 1], "int8"),
    "uint8": np.array([0, 1, 1, 0, 255, 1], "uint8"),
    "bool": np.array([0, 1, 1, 0, 1, 1], "bool"),
    "float32": np.array([-1, 0.5, 2, -3, 0, 1], "float32"),
}


def as_it_is(shape):
    return keras.Sequential([keras.Input(shape), keras.layers.Identity()])


def flat_outputs():
    """Return a network with outputs (rows,)."""
    inputs = keras.Input((1,))
    return keras.Model(inputs, ops.squeeze(inputs, axis=-1))


def evaluated(network, loss, x, y, **options):
    joint = coloss.JointModel({"a": network})
    joint.compile(loss=loss, run_eagerly=True, on_ascent="allow", **options)
    return joint.evaluate({"a": x}, y, verbose=0, return_dict=True)


def plain(network, loss, x, y):
    alone = keras.Sequential([keras.Input(network.input_shape[1:]), network])
    alone.compile(loss=loss, run_eagerly=True)
    return alone.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("own", OWN)
def test_labels_arrive_as_in_plain_keras(own, kind):
    network, y = as_it_is((1,)), LABELS[kind][:, None]
    x = RNG.normal(size=(ROWS, 1)).astype("float32")
    found = evaluated(network, OWN[own], x, y)
    expected = plain(network, OWN[own], x, y)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_row_of_nan_is_unlabeled():
    network, y = as_it_is((2,)), RNG.normal(size=(ROWS, 2))
    x = RNG.normal(size=(ROWS, 2)).astype("float32")
    y[[1, 4]] = np.nan
    here = ~np.isnan(y[:, 0])
    found = evaluated(network, squared, x, y)
    assert found["loss"] == pytest.approx(np.square(x - y)[here].mean(), rel=1e-5)


def by_rows(y_true, y_pred):
    return ops.square(y_pred - y_true)


def column_of_labels(y_true, y_pred):
    return ops.square(y_pred - y_true[:, 0])


def column_of_outputs(y_true, y_pred):
    return ops.square(y_pred[:, 0] - y_true)


class ByRows(losses.Loss):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


@pytest.mark.parametrize("outputs", ["(rows,)", "(rows, 1)"])
@pytest.mark.parametrize("labels", ["(rows,)", "(rows, 1)"])
@pytest.mark.parametrize("loss", ["mse", "mae", "hinge", "yesno", "function", "class"])
def test_rows_are_never_set_beside_other_rows(loss, labels, outputs):
    x = RNG.uniform(0.1, 0.9, size=(ROWS, 1)).astype("float32")
    y = (RNG.uniform(size=ROWS) > 0.5).astype("float32")
    network = flat_outputs() if outputs == "(rows,)" else as_it_is((1,))
    given, p = y if labels == "(rows,)" else y[:, None], x[:, 0].astype("float64")
    named = {"yesno": "binary_crossentropy", "function": by_rows}
    named["class"] = ByRows(by_rows)
    expected = {
        "mse": np.square(p - y),
        "mae": np.abs(p - y),
        "hinge": np.maximum(0, 1 - (2 * y - 1) * p),
        "yesno": -np.log(np.where(y > 0, p, 1 - p)),
    }.get(loss, np.square(p - y))
    found = evaluated(network, named.get(loss, loss), x, given, metrics=[by_rows])
    assert found["loss"] == pytest.approx(expected.mean(), rel=1e-5)
    # The same function as a metric.
    assert found["a_by_rows"] == pytest.approx(np.square(p - y).mean(), rel=1e-5)


@pytest.mark.parametrize("which", ["labels", "outputs"])
def test_a_class_that_minds_the_ranks_itself_is_let_alone(which):
    x = RNG.normal(size=(ROWS, 1)).astype("float32")
    y = RNG.normal(size=ROWS).astype("float32")
    function = column_of_labels if which == "labels" else column_of_outputs
    network = flat_outputs() if which == "labels" else as_it_is((1,))
    given = y[:, None] if which == "labels" else y
    found = evaluated(network, ByRows(function), x, given, metrics=[function])
    expected = np.square(x[:, 0] - y).mean()
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found[f"a_{function.__name__}"] == pytest.approx(expected, rel=1e-5)


class Above(keras.metrics.Mean):
    def __init__(self, threshold=0.5, name="above", **options):
        super().__init__(name=name, **options)
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None):
        above = ops.cast(y_pred[:, 0] > self.threshold, "float32")
        super().update_state(above, sample_weight)


class AboveKept(Above):
    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


def test_a_metric_without_its_arguments_in_get_config_is_no_copy():
    x = RNG.uniform(size=(ROWS, 1)).astype("float32")
    metric = Above(0.2)
    with pytest.raises(ValueError, match="leaves out threshold"):
        evaluated(as_it_is((1,)), "mse", x, x, metrics=[metric])
    found = evaluated(as_it_is((1,)), "mse", x, x, metrics=[AboveKept(0.2)])
    assert found["a_above"] == pytest.approx((x > 0.2).mean(), rel=1e-6)
