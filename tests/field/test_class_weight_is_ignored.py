"""I give `class_weight`, and nothing changes; by member it is an error.

Source: keras-team/keras issue 20701, "Applying class_weight for Models with multiple
output"; keras-team/keras issue 5258, "class_weight with binary_crossentropy".

Table of neighbors: labels (integers, integers in a column, one-hot, yes/no flat and in
a column, margins, an own loss, one class a step, one answer a step) x the way the dict
is given (for all, by member) x what brings the data (arrays, a generator, PyDataset,
tf.data, a torch DataLoader). Each is compared with plain Keras given the weights of
the rows as `sample_weight`, row by row.
"""

from __future__ import annotations

import functools
import itertools

import keras
import numpy as np
import pytest
from keras import ops

import coloss
from coloss.joint.explain.term_gradients import summand_gradients

pytestmark = pytest.mark.backend

ROWS = 8
WEIGHTS = {0: 1.0, 1: 10.0, -1: 3.0}
RNG = np.random.default_rng(1)
CLASSES = RNG.integers(0, 2, size=ROWS)
STEPS = RNG.integers(0, 2, size=(ROWS, 3))


def own(y_true, y_pred):
    return ops.mean(ops.square(y_pred - 2 * y_true), axis=-1)


# loss, activation, units, labels, the class of each position
KINDS = {
    "integers": ("sparse_categorical_crossentropy", "softmax", 2, CLASSES),
    "a column": ("sparse_categorical_crossentropy", "softmax", 2, CLASSES[:, None]),
    "one-hot": ("categorical_crossentropy", "softmax", 2, np.eye(2)[CLASSES]),
    "yes or no": ("binary_crossentropy", "sigmoid", 1, CLASSES),
    "yes or no, floats": ("binary_crossentropy", "sigmoid", 1, CLASSES[:, None] * 1.0),
    "margin": ("hinge", None, 1, (2 * CLASSES - 1)[:, None]),
    "own": (own, None, 1, CLASSES[:, None]),
    "steps": ("sparse_categorical_crossentropy", "softmax", 2, STEPS),
    "yes or no a step": ("binary_crossentropy", "sigmoid", 1, STEPS[..., None]),
}


def by_position(kind):
    labels = KINDS[kind][3]
    if kind == "one-hot":
        labels = labels.argmax(-1)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    return np.vectorize(WEIGHTS.get)(labels).astype("float32")


@functools.cache
def build(kind):
    loss, activation, units, _ = KINDS[kind]
    shape = (3, 4) if "step" in kind else (4,)
    keras.utils.set_random_seed(2)
    network = keras.Sequential(
        [keras.Input(shape), keras.layers.Dense(units, activation)]
    )
    x = np.random.default_rng(6).normal(size=(ROWS, *shape)).astype("float32")
    return network, loss, x


@functools.cache
def expected(kind):
    network, loss, x = build(kind)
    plain = keras.Sequential(network.layers)
    plain.compile("sgd", loss, run_eagerly=True)
    weights = by_position(kind)
    return plain.evaluate(
        x, KINDS[kind][3], sample_weight=weights, verbose=0, batch_size=ROWS
    )


def still(network, loss, **options):
    """Return a joint model that training does not move."""
    joint = coloss.JointModel({"a": network})
    sgd = keras.optimizers.SGD(0.0)
    joint.compile(sgd, loss, run_eagerly=True, on_ascent="allow", **options)
    return joint


@pytest.mark.parametrize("given", ["for all", "by member"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_label_is_weighed(kind, given):
    network, loss, x = build(kind)
    weights = {"a": WEIGHTS} if given == "by member" else WEIGHTS
    fit = still(network, loss).fit(
        {"a": x}, KINDS[kind][3], class_weight=weights, batch_size=ROWS, verbose=0
    )
    assert fit.history["a_loss"][0] == pytest.approx(expected(kind), rel=1e-5)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return {"a": self.x}, self.y


def brought_by(source, x, y):
    if source == "PyDataset":
        return Batches(x, y)
    if source == "tf.data":
        tf = pytest.importorskip("tensorflow")
        return tf.data.Dataset.from_tensor_slices(({"a": x}, y)).batch(ROWS)
    if source == "DataLoader":
        torch = pytest.importorskip("torch")
        rows = [({"a": x[i]}, y[i]) for i in range(ROWS)]
        return torch.utils.data.DataLoader(rows, batch_size=ROWS)
    return (({"a": x}, y) for _ in itertools.count())


@pytest.mark.parametrize("kind", ["integers", "yes or no", "steps", "own"])
@pytest.mark.parametrize("source", ["generator", "PyDataset", "tf.data", "DataLoader"])
def test_datasets_are_weighed_as_arrays_are(source, kind):
    if source == "DataLoader" and keras.backend.backend() == "tensorflow":
        pytest.skip("one process should not run both")
    network, loss, x = build(kind)
    y = KINDS[kind][3]
    data = brought_by(source, x, {"a": y} if source == "PyDataset" else y)
    options = {"class_weight": WEIGHTS, "shuffle": False, "verbose": 0}
    steps = 1 if source == "generator" else None
    fit = still(network, loss).fit(data, steps_per_epoch=steps, **options)
    assert fit.history["a_loss"][0] == pytest.approx(expected(kind), rel=1e-5)


def test_weighted_metrics_are_weighed_and_validation_is_not():
    network, loss, x = build("integers")
    joint = still(network, loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    fit = joint.fit(
        {"a": x},
        CLASSES,
        class_weight=WEIGHTS,
        sample_weight=np.linspace(0.5, 1, ROWS),
        validation_data=({"a": x}, CLASSES),
        batch_size=4,
        verbose=0,
    ).history
    right = ops.convert_to_numpy(network(x)).argmax(-1) == CLASSES
    weight = by_position("integers") * np.linspace(0.5, 1, ROWS)
    found = fit["a_weighted_accuracy"][0]
    assert found == pytest.approx((right * weight).sum() / weight.sum(), rel=1e-5)
    for key in ("a_accuracy", "val_a_accuracy", "val_a_weighted_accuracy"):
        assert fit[key][0] == pytest.approx(right.mean(), rel=1e-5)
    plain = joint.evaluate({"a": x}, CLASSES, verbose=0, return_dict=True)
    assert fit["val_a_loss"][0] == pytest.approx(plain["a_loss"], rel=1e-5)


def test_a_compiled_step_takes_new_weights():
    network, loss, x = build("integers")
    joint = coloss.JointModel({"a": network})
    joint.compile(keras.optimizers.SGD(0.0), loss)

    def fitted(weights):
        options = {"class_weight": weights, "batch_size": ROWS, "verbose": 0}
        return joint.fit({"a": x}, CLASSES, **options).history["loss"][0]

    plain = fitted(None)
    assert fitted({0: 2.0, 1: 2.0}) == pytest.approx(2 * plain, rel=1e-5)
    assert fitted({"a": {0: 3.0, 1: 3.0}}) == pytest.approx(3 * plain, rel=1e-5)
    assert fitted(None) == pytest.approx(plain, rel=1e-6)
    found = joint.train_on_batch({"a": x}, CLASSES, class_weight={0: 5, 1: 5})
    assert np.ravel(found)[0] == pytest.approx(5 * plain, rel=1e-5)


def test_a_regression_is_weighed_where_it_is_named():
    network, _, x = build("yes or no")
    other = build("integers")[0]
    joint = coloss.JointModel({"a": network, "b": other})
    joint.compile(
        keras.optimizers.SGD(0.0),
        {"a": "mse", "b": "sparse_categorical_crossentropy"},
        run_eagerly=True,
    )
    options = {"batch_size": ROWS, "verbose": 0}
    data = ({"a": x, "b": x}, {"a": CLASSES * 1.0, "b": CLASSES})
    plain = joint.fit(*data, **options).history
    shared = joint.fit(*data, class_weight={0: 2, 1: 2}, **options).history
    assert shared["a_loss"][0] == pytest.approx(plain["a_loss"][0], rel=1e-5)
    assert shared["b_loss"][0] == pytest.approx(2 * plain["b_loss"][0], rel=1e-5)
    named = joint.fit(*data, class_weight={"a": {0: 2, 1: 2}}, **options).history
    assert named["a_loss"][0] == pytest.approx(2 * plain["a_loss"][0], rel=1e-5)
    assert named["b_loss"][0] == pytest.approx(plain["b_loss"][0], rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"c": {0: 1.0}}, "no member"),
        ({"a": {0.5: 1.0}}, "whole numbers"),
        ({"a": {0: float("nan")}}, "finite weights"),
        ({"a": {0: 1.0, 10**9: 2.0}}, "at most"),
        ([1.0, 2.0], "must be a dict"),
    ],
)
def test_what_is_no_class_weight_is_refused_before_training(weights, message):
    network, loss, x = build("integers")
    with pytest.raises((ValueError, TypeError), match=message):
        still(network, loss).fit({"a": x}, CLASSES, class_weight=weights, verbose=0)


def test_several_answers_in_one_label_have_no_class():
    network, _, x = build("integers")
    joint = still(network, "binary_crossentropy")
    with pytest.raises(ValueError, match="answers of yes or no"):
        joint.fit({"a": x}, np.eye(2)[CLASSES], class_weight=WEIGHTS, verbose=0)


class Flow(keras.callbacks.Callback):
    """Measures the gradient of the summand, as `GradientFlow` does."""

    def on_epoch_end(self, epoch, logs=None):
        variables, (x, y) = self.model.trainable_variables, self.data
        found = summand_gradients(self.model, variables, x, y, None)
        self.found = np.ravel(ops.convert_to_numpy(found[0][0]))


def test_gradients_are_measured_with_the_weights_of_the_fit():
    network, loss, x = build("integers")
    joint, flow = still(network, loss), Flow()
    flow.data = ({"a": x}, CLASSES)
    found = []
    for weights in (None, {0: 2.0, 1: 2.0}):
        joint.fit(*flow.data, class_weight=weights, callbacks=[flow], verbose=0)
        found.append(flow.found)
    np.testing.assert_allclose(found[1], 2 * found[0], rtol=1e-4, atol=1e-7)
