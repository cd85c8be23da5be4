"""`coloss.losses.concatenated`: the joint objective as a plain Keras loss."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend

NAMES, CLASSES = ("a", "b"), {"a": 3, "b": 2}


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def crossentropy(y, p, smoothing=0.0):
    y = y * (1 - smoothing) + smoothing / y.shape[1]
    return -(y * np.log(p)).sum(axis=1)


def data(seed=0, rows=7):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, 5)).astype("float32")
    first = np.eye(3, dtype="float32")[random.integers(0, 3, rows)]
    second = np.eye(2, dtype="float32")[random.integers(0, 2, rows)]
    return np.hstack([first, second]), logits


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_the_formula_in_numpy(from_logits, smoothing):
    y, z = data()
    a, b = softmax(z[:, :3].astype(float)), softmax(z[:, 3:].astype(float))
    outputs = z if from_logits else np.hstack([a, b]).astype("float32")
    loss = coloss.losses.concatenated(
        NAMES,
        CLASSES,
        "w1*a + w2*(a - b)",
        {"w1": 1.0, "w2": 0.5},
        from_logits=from_logits,
        label_smoothing=smoothing,
        on_ascent="allow",
    )
    first = crossentropy(y[:, :3], a, smoothing).mean()
    second = crossentropy(y[:, 3:], b, smoothing).mean()
    expected = first + 0.5 * (first - second)
    assert float(loss(y, outputs)) == pytest.approx(expected, abs=1e-5)


def test_sample_weight_weighs_the_rows():
    y, z = data()
    weight = np.linspace(0, 2, len(y)).astype("float32")
    loss = coloss.losses.concatenated(NAMES, CLASSES, "a", from_logits=True)
    rows = crossentropy(y[:, :3], softmax(z[:, :3].astype(float)))
    found = float(loss(y, z, sample_weight=weight))
    assert found == pytest.approx((rows * weight).mean(), abs=1e-5)


def test_unlabeled_slices_are_left_out():
    y, z = data()
    y[:3, 3:] = np.nan
    loss = coloss.losses.concatenated(NAMES, CLASSES, "a + b", from_logits=True)
    a = crossentropy(y[:, :3], softmax(z[:, :3].astype(float))).mean()
    b = crossentropy(y[3:, 3:], softmax(z[3:, 3:].astype(float))).mean()
    assert float(loss(y, z)) == pytest.approx(a + b, abs=1e-5)


def test_slices_can_teach_each_other():
    y, z = data()
    loss = coloss.losses.concatenated(
        ["a", "b"], 2, "distill(b >> a, temperature=2)", from_logits=True
    )
    p, q = softmax(z[:, 2:4] / 2.0), softmax(z[:, :2] / 2.0)
    expected = 4 * (p * np.log(p / q)).sum(axis=1).mean()
    assert float(loss(y[:, :4], z[:, :4])) == pytest.approx(expected, abs=1e-5)


def test_round_trip_through_its_configuration():
    loss = coloss.losses.concatenated(
        NAMES, CLASSES, "a + w*b", {"w": 0.3}, label_smoothing=0.1
    )
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    y, z = data()
    outputs = np.hstack([softmax(z[:, :3]), softmax(z[:, 3:])]).astype("float32")
    assert float(again(y, outputs)) == float(loss(y, outputs))
    metric = loss.metrics()[1]
    clone = type(metric).from_config(metric.get_config())
    assert clone.name == "b_accuracy"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((NAMES, CLASSES, "a + bb"), "no member 'bb'; did you mean 'b'"),
        ((NAMES, {"a": 3}, "a"), "`num_classes`: nothing for 'b'"),
        ((NAMES, CLASSES, "cka(a.hidden >> b.hidden)"), "is a layer"),
        ((NAMES, CLASSES, "a + w*b"), "'w'"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        coloss.losses.concatenated(*arguments)


def test_a_signed_objective_warns():
    with pytest.warns(coloss.ObjectiveWarning, match="b to fail"):
        coloss.losses.concatenated(NAMES, CLASSES, "a - b")


def test_a_wrong_width_is_named():
    loss = coloss.losses.concatenated(NAMES, CLASSES, "a + b")
    with pytest.raises(ValueError, match=r"y_true.*expected \(batch, 5\): a 3 \+ b 2"):
        loss(np.zeros((2, 4), "float32"), np.zeros((2, 5), "float32"))
