"""I weigh single steps and pixels: weights of every rank, masks, and both together.

Source: keras-team/keras issue 15181, "temporal 2D sample_weight in fit() causing
dimension mismatch"; keras-team/keras issue 4752, "masking for sequence to sequence
learning" (right in the loss, wrong in the metrics).

Table of neighbors, each cell beside plain Keras's loss on the same network alone:
losses (integer, one-hot and yes/no classes, focal, squared, absolute, Huber, hinge,
Poisson, cosine, an own function, an own class) x ranks (rows, steps, pixels) x weights
(none, a row, a position) x Keras's mask of the outputs.
"""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from keras import losses, ops

import coloss

pytestmark = pytest.mark.backend

ROWS = 6
SHAPES = {"rows": (), "steps": (4,), "pixels": (2, 3)}
PADDED = -9.0


def own_function(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred) ** 1.5, axis=-1)


class OwnClass(losses.Loss):
    def call(self, y_true, y_pred):
        return ops.max(ops.square(y_true - y_pred), axis=-1)


LOSSES = {
    "integers": losses.SparseCategoricalCrossentropy(),
    "smoothed": losses.CategoricalCrossentropy(label_smoothing=0.1),
    "onehot": losses.CategoricalCrossentropy(),
    "focal": losses.CategoricalFocalCrossentropy(),
    "yesno": losses.BinaryCrossentropy(),
    "mse": losses.MeanSquaredError(),
    "mae": losses.MeanAbsoluteError(),
    "huber": losses.Huber(),
    "hinge": losses.Hinge(),
    "poisson": losses.Poisson(),
    "cosine": losses.CosineSimilarity(),
    "function": own_function,
    "object": OwnClass(),
}
WEIGHTS = ("none", "a row", "a position")
CELLS = [
    (rank, weight, masked)
    for rank in SHAPES
    for weight in WEIGHTS
    for masked in ((False, True) if rank == "steps" else (False,))
]


class PaddingMask(keras.layers.Layer):
    """Masks steps of padding; what it returns there is a value like others."""

    def call(self, inputs):
        return ops.where(inputs == PADDED, 0.25 * ops.ones_like(inputs), inputs)

    def compute_mask(self, inputs, previous=None):
        return ops.any(inputs != PADDED, axis=-1)


def network(shape, masked):
    """Return a network whose outputs are its inputs, with a mask where padded."""
    layers = [PaddingMask()] if masked else []
    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Identity()])


@functools.cache
def data(rank):
    """Return outputs and labels of every loss."""
    rng = np.random.default_rng(3)
    shape = (ROWS, *SHAPES[rank])
    z = np.exp(rng.normal(size=(*shape, 3)))
    classes = rng.integers(0, 3, size=shape)
    p = (z / z.sum(-1, keepdims=True)).astype("float32")
    hot = np.eye(3, dtype="float32")[classes]
    one = rng.uniform(0.1, 0.9, size=(*shape, 1)).astype("float32")
    answers = (classes > 0)[..., None].astype("float32")
    targets = rng.normal(size=(*shape, 3)).astype("float32")
    special = {
        "integers": (p, classes),
        "smoothed": (p, hot),
        "onehot": (p, hot),
        "focal": (p, hot),
        "yesno": (one, answers),
        "hinge": (one, 2 * answers - 1),
        "poisson": (one, answers),
    }
    return {name: special.get(name, (p, targets)) for name in LOSSES}


def weights_of(rank, weight):
    rng = np.random.default_rng(4)
    shape = (ROWS, *SHAPES[rank])
    if weight == "none":
        return None
    if weight == "a row":
        return rng.uniform(0.2, 2.0, size=ROWS).astype("float32")
    found = rng.uniform(0.2, 2.0, size=shape).astype("float32")
    found[rng.uniform(size=shape) < 0.3] = 0.0
    return found


def padded(values, lengths):
    values = np.array(values)
    for row, length in enumerate(lengths):
        values[row, length:] = PADDED
    return values


def evaluated(rank, weight, masked, lengths=(2,) * ROWS):
    """Return what each member's loss is, of one joint model with all of them."""
    table, members, x, y = data(rank), {}, {}, {}
    for name, (outputs, labels) in table.items():
        x[name] = padded(outputs, lengths) if masked else outputs
        members[name], y[name] = network(outputs.shape[1:], masked), labels
    joint = coloss.JointModel(members)
    joint.compile(loss=LOSSES, run_eagerly=True, on_ascent="allow")
    given = weights_of(rank, weight)
    return (
        members,
        x,
        y,
        joint.evaluate(
            x, y, sample_weight=given, verbose=0, return_dict=True, batch_size=ROWS
        ),
    )


@functools.cache
def cached(rank, weight, masked):
    return evaluated(rank, weight, masked)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("rank", "weight", "masked"), CELLS)
def test_a_loss_is_that_of_plain_keras(rank, weight, masked, name):
    members, x, y, found = cached(rank, weight, masked)
    weights = weights_of(rank, weight)
    if weight == "a row":  # Keras broadcasts from the last axis.
        weights = weights.reshape((ROWS,) + (1,) * len(SHAPES[rank]))
        weights = np.broadcast_to(weights, (ROWS, *SHAPES[rank])).copy()
    loss = LOSSES[name]
    if name == "function":
        plain = keras.Sequential(members[name].layers)
        plain.compile(loss=loss, run_eagerly=True)
        expected = plain.evaluate(
            x[name], y[name], sample_weight=weights, verbose=0, batch_size=ROWS
        )
    else:
        outputs = members[name](ops.convert_to_tensor(x[name]))
        expected = float(loss(y[name], outputs, sample_weight=weights))
    assert found[f"{name}_loss"] == pytest.approx(expected, rel=2e-5, abs=1e-6)


def test_rows_of_different_lengths_count_alike():
    # Keras: the mean over all steps that count. Here: of each row, then over the rows.
    lengths = (4, 1, 2, 3, 0, 4)
    members, x, y, found = evaluated("steps", "none", True, lengths)
    steps = np.square(x["mse"] - y["mse"]).mean(-1).astype("float64")
    here = np.arange(4) < np.array(lengths)[:, None]
    rows = (steps * here).sum(1) / np.maximum(here.sum(1), 1)
    assert found["mse_loss"] == pytest.approx(rows[here.any(1)].mean(), rel=1e-5)
    plain = float(LOSSES["mse"](y["mse"], members["mse"](x["mse"])))
    assert plain == pytest.approx((steps * here).sum() / here.sum(), rel=1e-5)
    # Keras's rule is a weight of the number of steps of a row.
    weight = here.sum(1) / here.sum(1)[here.any(1)].mean()
    joint = coloss.JointModel({"a": members["mse"]})
    joint.compile(loss="mse", run_eagerly=True)
    same = joint.evaluate(
        {"a": x["mse"]}, y["mse"], sample_weight=weight, verbose=0, return_dict=True
    )
    assert same["a_loss"] == pytest.approx(plain, rel=1e-5)


def test_only_the_last_step_of_six_counts():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(8, 6, 1)).astype("float32")
    targets = np.full((8, 6, 1), 1000.0, "float32")
    targets[:, -1] = rng.normal(size=(8, 1))
    weight = np.zeros((8, 6), "float32")
    weight[:, -1] = 1.0
    expected = (np.square(outputs - targets)[..., 0] * weight).mean()
    for labels in (targets, targets[..., 0]):
        joint = coloss.JointModel({"a": network((6, 1), False)})
        joint.compile(loss="mse", weighted_metrics=["mse"], run_eagerly=True)
        found = joint.evaluate(
            {"a": outputs}, labels, sample_weight=weight, verbose=0, return_dict=True
        )
        assert found["loss"] == pytest.approx(expected, rel=1e-5)
        assert found["a_mse"] == pytest.approx(6 * expected, rel=1e-5)


METRICS = ["accuracy", "crossentropy", "top", "own"]


def own_metric(y_true, y_pred):
    return ops.cast(ops.max(y_pred, -1) > 0.5, "float32") + 0 * ops.cast(
        y_true, "float32"
    )


def metrics_of():
    top = keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top")
    return ["accuracy", "crossentropy", top, own_metric]


@functools.cache
def metrics_found(weight, masked):
    outputs, labels = data("steps")["integers"]
    lengths = (4, 1, 2, 3, 1, 4)
    x = padded(outputs, lengths) if masked else outputs
    joint = coloss.JointModel({"a": network(outputs.shape[1:], masked)})
    joint.compile(
        loss="sparse_categorical_crossentropy",
        metrics=metrics_of(),
        weighted_metrics=metrics_of(),
        run_eagerly=True,
    )
    found = joint.evaluate(
        {"a": x},
        labels,
        sample_weight=weights_of("steps", weight),
        verbose=0,
        return_dict=True,
        batch_size=4,
    )
    here = np.arange(4) < np.array(lengths)[:, None] if masked else np.ones((6, 4))
    return found, here.astype("float64")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_metric_counts_positions(weight, masked, metric):
    found, here = metrics_found(weight, masked)
    outputs, labels = data("steps")["integers"]
    order = np.argsort(np.argsort(-outputs, -1), -1)
    place = np.take_along_axis(order, labels[..., None], -1)[..., 0]
    chosen = np.take_along_axis(outputs, labels[..., None], -1)[..., 0]
    values = {
        "accuracy": place == 0,
        "top": place < 2,
        "crossentropy": -np.log(chosen.astype("float64")),
        "own": outputs.max(-1) > 0.5,
    }[metric]
    key = {"own": "own_metric"}.get(metric, metric)
    given = weights_of("steps", weight)
    weights = here if given is None else here * given.reshape(6, -1)
    assert found[f"a_{key}"] == pytest.approx((values * here).sum() / here.sum(), 1e-5)
    expected = (values * weights).sum() / weights.sum()
    assert found[f"a_weighted_{key}"] == pytest.approx(expected, 1e-5)


@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3), (6, 2)])
def test_weights_that_do_not_broadcast_are_refused(shape):
    outputs, labels = data("steps")["mse"]
    joint = coloss.JointModel({"a": network(outputs.shape[1:], False)})
    joint.compile(loss="mse", run_eagerly=True)
    with pytest.raises(ValueError, match="the loss of 'a' has values of shape"):
        joint.evaluate({"a": outputs}, labels, sample_weight=np.ones(shape), verbose=0)


def trained(masked, weight):
    """Return weights after two steps: of a joint model, and of plain Keras."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(6, 4, 2)).astype("float32")
    x = padded(x, (2,) * 6) if masked else x
    y = rng.integers(0, 3, size=(6, 4))

    def build():
        keras.utils.set_random_seed(7)
        layers = [keras.layers.Masking(PADDED)] if masked else []
        layers += [keras.layers.Dense(3, "softmax")]
        return keras.Sequential([keras.Input((4, 2)), *layers])

    given = weights_of("steps", weight)
    options = {"sample_weight": given, "epochs": 2, "verbose": 0, "shuffle": False}
    loss, sgd = "sparse_categorical_crossentropy", keras.optimizers.SGD
    plain, member = build(), build()
    plain.compile(sgd(0.5), loss)
    plain.fit(x, y, **options)
    joint = coloss.JointModel({"a": member})
    joint.compile(sgd(0.5), loss, metrics=["accuracy"])
    history = joint.fit({"a": x}, y, **options).history
    return plain, member, history


@pytest.mark.parametrize(("masked", "weight"), [(True, "none"), (True, "a position")])
def test_training_moves_the_weights_that_plain_keras_moves(masked, weight):
    plain, member, history = trained(masked, weight)
    for mine, theirs in zip(member.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    # The mask reaches the metrics of training, too: counted are two steps of four.
    halves = np.array(history["a_accuracy"]) * 12
    np.testing.assert_allclose(halves, np.round(halves), atol=1e-4)
