"""Frozen members are computed once for the rows of a `fit`: the same numbers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import coloss
from coloss.joint.inputs.assembly import Assembly
from coloss.joint.outputs import frozen

pytestmark = pytest.mark.backend

ROWS, BATCH, STEPS = 10, 4, 4
RNG = np.random.default_rng(0)
X = {
    "main": RNG.normal(size=(ROWS, 4)).astype("float32"),
    "help": RNG.integers(1, 6, (ROWS, STEPS)),
    "far": RNG.normal(size=(ROWS, 3)).astype("float32"),
}
X["help"][::3, 2:] = 0  # Padding.
X["far"][[1, 6]] = np.nan
Y = RNG.integers(0, 3, ROWS)
VALIDATION = ({name: rows[:5] for name, rows in X.items()}, Y[:5])


def start(number: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(number)


def main() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, "tanh", kernel_initializer=start(1), name="hidden"),
            layers.Dense(3, "softmax", kernel_initializer=start(2)),
        ]
    )


def reader() -> keras.Model:
    """Return a network on padded words, with dropout and normalization."""
    return keras.Sequential(
        [
            keras.Input((STEPS,), dtype="int32"),
            layers.Embedding(6, 3, mask_zero=True, embeddings_initializer=start(3)),
            layers.Dropout(0.5, seed=1),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling1D(name="hidden"),
            layers.Dense(3, "softmax", kernel_initializer=start(4)),
        ]
    )


def far() -> keras.Model:
    dense = layers.Dense(3, "softmax", kernel_initializer=start(5))
    return keras.Sequential([keras.Input((3,)), dense])


OBJECTIVE = (
    "main + distill(help >> main, gate='row') + 0.5*distill(far >> main)"
    " + 0.3*cka(help.hidden >> main.hidden)"
)


def trained(cache: bool, callbacks=(), **compile):
    keras.utils.set_random_seed(3)
    members = {"main": main(), "help": reader(), "far": far()}
    members["help"].trainable = members["far"].trainable = False
    joint = coloss.JointModel(members)
    joint.compile(
        keras.optimizers.Adam(0.05),
        loss="sparse_categorical_crossentropy",
        objective=OBJECTIVE,
        metrics=["accuracy"],
        **compile,
    )
    history = joint.fit(
        X,
        Y,
        epochs=2,
        batch_size=BATCH,
        validation_data=VALIDATION,
        verbose=0,
        cache=cache,
        callbacks=list(callbacks),
    ).history
    return joint, history


@pytest.fixture(scope="module")
def plain():
    return trained(cache=False)


@pytest.fixture
def calls(monkeypatch):
    """Return the members that were run for all rows."""
    found = []

    def say(members, *arguments):
        said = frozen_say(members, *arguments)
        found.append(sorted(said))
        return said

    frozen_say = frozen.say
    monkeypatch.setattr("coloss.joint.epochs.frozen_rows.say", say)
    return found


def test_the_same_history_and_weights(plain, calls) -> None:
    joint, history = trained(cache=True)
    assert calls == [["far", "help"], ["far", "help"]]
    expected, numbers = plain
    assert history.keys() == numbers.keys()
    for name, values in numbers.items():
        np.testing.assert_allclose(
            history[name], values, rtol=1e-6, atol=1e-6, err_msg=name
        )
    for found, right in zip(joint.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-6)


def test_a_callback_of_ones_own_may_change_a_frozen_member(calls) -> None:
    class Teacher(keras.callbacks.Callback):
        """The teacher follows the learner, as in Mean Teacher."""

        def on_epoch_end(self, epoch, logs=None):
            weights = self.model["far"].get_weights()
            self.model["far"].set_weights([0.5 * weight for weight in weights])

    trained(cache=True, callbacks=[Teacher()])
    assert calls == []


def test_one_epoch_is_run_as_it_is(plain, calls) -> None:
    joint, _ = plain
    joint.fit(X, Y, epochs=1, batch_size=BATCH, verbose=0)
    assert calls == []


def test_what_draws_or_remembers_is_run_at_every_step() -> None:
    class Noise(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed = keras.random.SeedGenerator(1)

        def call(self, inputs):
            return inputs + keras.random.normal(keras.ops.shape(inputs), seed=self.seed)

    dense = layers.Dense(2)
    noisy = keras.Sequential([keras.Input((3,)), dense, Noise()])
    noisy.trainable = False
    before = [keras.ops.convert_to_numpy(one) for one in noisy.variables]
    members = {"far": noisy}
    assert list(frozen.sayable(members)) == ["far"]
    x = {"far": X["far"]}
    assert frozen.say(members, Assembly(members), {}, x, 1e9) == {}
    for variable, value in zip(noisy.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)


@pytest.mark.parametrize("why", ["large", "infinite", "adds a loss"])
def test_what_cannot_be_kept_is_run_at_every_step(why) -> None:
    regularizer = "l2" if why == "adds a loss" else None
    network = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, activity_regularizer=regularizer)]
    )
    network.trainable = False
    members, rows = {"far": network}, X["far"].copy()
    if why == "infinite":
        rows[0, 0] = np.inf
    limit = ROWS * 4 if why == "large" else 1e9
    assert frozen.say(members, Assembly(members), {}, {"far": rows}, limit) == {}


def test_chunks_are_put_together(monkeypatch) -> None:
    monkeypatch.setattr(frozen, "CHUNK", 4)
    network = far()
    network.trainable = False
    members = {"far": network}
    said = frozen.say(members, Assembly(members), {}, {"far": X["far"]}, 1e9)["far"]
    np.testing.assert_array_equal(said["present"], ~np.isnan(X["far"][:, 0]))
    expected = network.predict(np.nan_to_num(X["far"]), verbose=0)
    np.testing.assert_allclose(said["output"], expected, rtol=1e-6)
