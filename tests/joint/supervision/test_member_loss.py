"""Every way Keras spells a loss gives Keras's own number."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel
from coloss.objective import ObjectiveError

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 8
X = RNG.normal(size=(ROWS, 4)).astype("float32")
CLASSES = np.arange(ROWS) % 3
HOT = np.eye(3, dtype="float32")[CLASSES]
YES = (CLASSES % 2).astype("float32")
TARGETS = RNG.normal(size=(ROWS, 3)).astype("float32")
L = keras.losses


def squared_by_hand(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def one_number(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred))


class Cubed(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 3, axis=-1)


# Loss, activation and labels; a fresh instance for each model.
CASES = {
    "sparse string": (lambda: "sparse_categorical_crossentropy", "softmax", CLASSES),
    "sparse class name": (lambda: "SparseCategoricalCrossentropy", "softmax", CLASSES),
    "sparse column": (
        lambda: "sparse_categorical_crossentropy",
        "softmax",
        CLASSES[:, None],
    ),
    "sparse function": (
        lambda: L.sparse_categorical_crossentropy,
        "softmax",
        CLASSES,
    ),
    "sparse logits": (
        lambda: L.SparseCategoricalCrossentropy(from_logits=True),
        None,
        CLASSES,
    ),
    "sparse class": (lambda: L.SparseCategoricalCrossentropy, "softmax", CLASSES),
    "dense string": (lambda: "categorical_crossentropy", "softmax", HOT),
    "dense function": (lambda: L.categorical_crossentropy, "softmax", HOT),
    "dense logits": (lambda: L.CategoricalCrossentropy(from_logits=True), None, HOT),
    "dense smoothed": (
        lambda: L.CategoricalCrossentropy(label_smoothing=0.2),
        "softmax",
        HOT,
    ),
    "dense focal": (lambda: L.CategoricalFocalCrossentropy(gamma=3.0), "softmax", HOT),
    "dense focal logits": (
        lambda: L.CategoricalFocalCrossentropy(from_logits=True),
        None,
        HOT,
    ),
    "binary string": (lambda: "binary_crossentropy", "sigmoid", YES),
    "binary integers": (lambda: "binary_crossentropy", "sigmoid", YES.astype("int64")),
    "binary columns": (lambda: "binary_crossentropy", "sigmoid", HOT),
    "binary logits smoothed": (
        lambda: L.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        None,
        YES[:, None],
    ),
    "binary focal": (
        lambda: L.BinaryFocalCrossentropy(apply_class_balancing=True),
        "sigmoid",
        YES[:, None],
    ),
    "mse": (lambda: "mse", None, TARGETS),
    "mae": (lambda: L.MeanAbsoluteError(), None, TARGETS),
    "huber": (lambda: L.Huber(delta=0.3), None, TARGETS),
    "one value": (lambda: "mse", None, TARGETS[:, 0]),
    "hinge": (lambda: "hinge", None, HOT * 2 - 1),
    "categorical hinge": (lambda: "categorical_hinge", None, HOT),
    "kl string": (lambda: "kl_divergence", "softmax", HOT),
    "kl instance": (lambda: L.KLDivergence(), "softmax", HOT),
    "cosine": (lambda: L.CosineSimilarity(), None, TARGETS),
    "poisson": (lambda: "poisson", "softplus", np.abs(TARGETS)),
    "log cosh": (lambda: L.log_cosh, None, TARGETS),
    "custom function": (lambda: squared_by_hand, None, TARGETS),
    "custom class": (lambda: Cubed(), None, TARGETS),
    "reduction mean": (lambda: L.MeanSquaredError(reduction="mean"), None, TARGETS),
}


@pytest.mark.parametrize("case", CASES)
def test_a_loss_gives_the_number_of_plain_keras(case, linear):
    make, activation, y = CASES[case]
    units = 1 if y.ndim == 1 and y is not CLASSES else y.shape[-1]
    if "sparse" in case:
        units = 3
    network = linear(4, units, activation)
    network.compile("sgd", loss=make())
    expected = network.evaluate(X, y, batch_size=4, verbose=0)
    model = JointModel({"a": network})
    model.compile("sgd", loss={"a": make()})
    found = model.evaluate({"a": X}, y, batch_size=4, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["a_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_regression_trains_beside_classifiers(linear, step, same):
    members = {"a": linear(4), "b": linear(4, 1, None, seed=1)}
    members["c"] = linear(4, 1, "sigmoid", seed=2)
    losses = {
        "a": "sparse_categorical_crossentropy",
        "b": "mse",
        "c": "binary_crossentropy",
    }
    y = {"a": CLASSES, "b": TARGETS[:, 0], "c": YES}
    model = JointModel(members)
    model.compile(keras.optimizers.SGD(1.0), losses, objective="a + 2*b + c")
    logs, found = step(model, dict.fromkeys("abc", X), y)
    total = 0.0
    for name, factor in (("a", 1), ("b", 2), ("c", 1)):
        members[name].compile(keras.optimizers.SGD(1.0), losses[name])
        expected, pull = step(members[name], X, y[name])
        same(found[name], [factor * g for g in pull])
        total += factor * expected["loss"]
    assert logs["loss"] == pytest.approx(total, rel=1e-5)


def compiled(linear, loss, objective=None, activations=("softmax", None)):
    members = {"a": linear(4, activation=activations[0])}
    members["b"] = linear(4, activation=activations[1], seed=1)
    model = JointModel(members)
    model.compile("sgd", loss=loss, objective=objective)
    return model


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
def test_a_reduction_that_hides_rows_is_refused(reduction, linear):
    loss = L.MeanSquaredError(reduction=reduction)
    with pytest.raises(ValueError, match=f"loss of 'b' has reduction='{reduction}'"):
        compiled(linear, {"b": loss})


def test_a_loss_that_returns_one_number_is_refused(linear):
    model = compiled(linear, {"b": one_number})
    with pytest.raises(ValueError, match="loss of 'b' returns one number for the whol"):
        model.train_on_batch({"a": X, "b": X}, TARGETS)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"b": "mean_sqared_error"}, "loss of 'b'"),
        ({"c": "mse"}, "`loss`: no member 'c'"),
        ({"b": 3}, "loss of 'b' must be a string"),
        (None, "needs `loss`, `objective`, or both"),
    ],
)
def test_what_is_no_loss_is_refused(loss, message, linear):
    with pytest.raises((ValueError, TypeError), match=message):
        compiled(linear, loss)


def test_a_member_in_the_objective_needs_a_loss(linear):
    with pytest.raises((ValueError, ObjectiveError), match="loss of 'b', which has no"):
        compiled(linear, {"a": "sparse_categorical_crossentropy"}, "a + b")


@pytest.mark.parametrize("term", ["distill(a >> b)", "mutual(a, b)"])
def test_terms_on_classes_refuse_a_regression(term, linear):
    losses = {"a": "sparse_categorical_crossentropy", "b": "mse"}
    model = None
    with pytest.raises((ValueError, ObjectiveError), match="match_logits") as caught:
        model = compiled(linear, losses, f"a + b + {term}")
        y = {"a": CLASSES, "b": TARGETS}
        model.train_on_batch({"a": X, "b": X}, y)
    assert "'b'" in str(caught.value)
    assert "regression" in str(caught.value)


def test_match_logits_takes_a_regression(linear, step):
    members = {"a": linear(4, activation=None), "b": linear(4, activation=None, seed=1)}
    model = JointModel(members)
    model.compile(keras.optimizers.SGD(1.0), "mse", objective="match_logits(a >> b)")
    logs, _ = step(model, {"a": X, "b": X}, TARGETS)
    gap = members["a"](X) - members["b"](X)
    expected = np.mean(keras.ops.convert_to_numpy(gap).astype("float64") ** 2)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_outputs_whose_meaning_is_not_visible_are_refused(linear):
    members = {"a": linear(4, activation="softplus"), "b": linear(4, seed=1)}
    model = JointModel(members)
    losses = {"a": squared_by_hand, "b": "categorical_crossentropy"}
    model.compile("sgd", losses, objective="a + b + distill(a >> b)")
    with pytest.raises(ValueError, match="not visible whether 'a' returns logits"):
        model.train_on_batch({"a": X, "b": X}, HOT)
