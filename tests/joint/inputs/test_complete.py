"""What is complete in the arrays is not looked at in the step; the rest always is."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend

random = np.random.default_rng(0)
Y = random.integers(0, 3, 16)
WHOLE = {name: random.normal(size=(16, 4)).astype("float32") for name in "ab"}
HOLES = {"a": WHOLE["a"], "b": WHOLE["b"].copy()}
HOLES["b"][::2] = np.nan


def joined():
    keras.utils.set_random_seed(0)
    networks = {
        name: keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
        )
        for name in "ab"
    }
    model = coloss.JointModel(networks)
    model.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        objective="a + b + distill(b >> a)",
    )
    return model


def trained(*data):
    model = joined()
    for x in data:
        model.fit(x, Y, batch_size=16, shuffle=False, verbose=0)
    return np.concatenate(
        [w.ravel() for name in "ab" for w in model[name].get_weights()]
    )


def test_a_fit_with_holes_after_a_fit_without_leaves_them_out():
    model = joined()
    model.fit(WHOLE, Y, batch_size=16, shuffle=False, verbose=0)
    model.train_on_batch(HOLES, Y)
    after = np.concatenate(
        [w.ravel() for name in "ab" for w in model[name].get_weights()]
    )
    assert np.isfinite(after).all()
    np.testing.assert_allclose(trained(WHOLE, HOLES), after, atol=1e-6)


def test_knowing_that_nothing_is_missing_changes_nothing():
    model = joined()
    model.train_on_batch(WHOLE, Y)
    looked = np.concatenate(
        [w.ravel() for name in "ab" for w in model[name].get_weights()]
    )
    np.testing.assert_allclose(trained(WHOLE), looked, atol=1e-7)


def test_validation_may_have_holes_where_training_has_none():
    history = (
        joined()
        .fit(WHOLE, Y, batch_size=16, epochs=2, validation_data=(HOLES, Y), verbose=0)
        .history
    )
    assert np.isfinite(list(history.values())).all()


def weights_after(model):
    return np.concatenate(
        [w.ravel() for name in "ab" for w in model[name].get_weights()]
    )


def test_unlabeled_rows_after_a_fit_without_are_left_out():
    unlabeled = np.where(np.arange(16) % 2, Y, -1)
    model = joined()
    model.fit(WHOLE, Y, batch_size=16, shuffle=False, verbose=0)
    model.fit(WHOLE, unlabeled, batch_size=16, shuffle=False, verbose=0)
    other = joined()
    other.fit(WHOLE, Y, batch_size=16, shuffle=False, verbose=0)
    other.train_on_batch(WHOLE, unlabeled)
    np.testing.assert_allclose(weights_after(model), weights_after(other), atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="there it takes a state")
def test_a_step_outside_of_fit_looks_again():
    model, other = joined(), joined()
    model.fit(WHOLE, Y, batch_size=16, shuffle=False, verbose=0)
    other.fit(WHOLE, Y, batch_size=16, shuffle=False, verbose=0)
    unlabeled = np.where(np.arange(16) % 2, Y, -1)
    tensor = keras.ops.convert_to_tensor
    inputs = {name: tensor(values) for name, values in HOLES.items()}
    model.train_step((inputs, tensor(unlabeled)))
    other.fit(HOLES, unlabeled, batch_size=16, shuffle=False, verbose=0)
    assert np.isfinite(weights_after(model)).all()
    np.testing.assert_allclose(weights_after(model), weights_after(other), atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        ("sparse_categorical_crossentropy", Y.astype("float32")),
        ("sparse_categorical_crossentropy", Y[:, None]),
        ("categorical_crossentropy", np.eye(3, dtype="float32")[Y]),
        ("categorical_crossentropy", np.eye(3, dtype="int32")[Y]),
        ("binary_crossentropy", (np.eye(3)[Y] > 0).astype("int32")),
        ("mse", random.normal(size=(16, 3)).astype("float32")),
    ],
)
def test_labels_known_to_be_complete_teach_the_same(loss, labels):
    found = []
    for whole in (True, False):
        model = joined()
        model.compile(keras.optimizers.SGD(0.1), loss, objective="a + b")
        if whole:
            model.fit(WHOLE, labels, batch_size=16, shuffle=False, verbose=0)
            assert model._traced_for.labels == {"a", "b"}
        else:
            model.train_on_batch(WHOLE, labels)
            assert not model._traced_for.labels
        found.append(weights_after(model))
    np.testing.assert_allclose(*found, atol=1e-6)
