"""A helper that is trained up is told of when its loss grows beyond chance."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

from coloss.joint import JointModel
from coloss.joint.steps.ascent_watch import chance_loss
from coloss.objective import ObjectiveWarning

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
X = {name: RNG.normal(size=(30, 3)).astype("float32") for name in "ab"}
Y = np.arange(30) % 3


def build(objective, loss="sparse_categorical_crossentropy", units=3):
    keras.utils.set_random_seed(0)
    model = JointModel(
        {
            name: keras.Sequential(
                [keras.Input((3,)), keras.layers.Dense(units, "softmax")]
            )
            for name in "ab"
        }
    )
    rate = keras.optimizers.Adam(0.3)
    model.compile(rate, loss=loss, objective=objective, on_ascent="allow")
    return model


def told(model, epochs=12):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(X, Y, epochs=epochs, verbose=0).history
    meant = [one for one in caught if issubclass(one.category, ObjectiveWarning)]
    return [str(one.message) for one in meant], history["b_loss"]


def test_it_is_told_once_when_the_loss_is_twice_what_chance_gives():
    (said,), losses = told(build("a - 0.9*b"))
    first = next(i for i, loss in enumerate(losses) if loss > 2 * np.log(3))
    assert first > 0 and f"epoch {first + 1}: the loss of 'b'" in said
    assert f"is {losses[first]:.3g}; chance gives {np.log(3):.3g}" in said


def test_a_helper_that_learns_is_not_watched():
    assert told(build("a + b"))[0] == []


def test_what_chance_gives():
    model = build("a - b", {"a": "binary_crossentropy", "b": "mse"})
    assert chance_loss(model, "a") == np.log(2)
    assert chance_loss(model, "b") is None
    model = build("a - b", "categorical_crossentropy", units=5)
    assert chance_loss(model, "b") == np.log(5)
