"""On TensorFlow, "auto" is Keras's multi-step function."""

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest

import coloss

if keras.backend.backend() != "tensorflow":
    pytest.skip("several steps in a call are TensorFlow's", allow_module_level=True)

from coloss.joint.epochs import many_steps
from coloss.joint.epochs.skipping import Skipping

pytestmark = pytest.mark.backend

ROWS, BATCH = 76, 4  # 19 steps: 16, and 3.
RNG = np.random.default_rng(0)
X = {
    "main": RNG.normal(size=(ROWS, 4)).astype("float32"),
    "help": RNG.normal(size=(ROWS, 3)).astype("float32"),
}
X["help"][::7] = np.nan
Y = RNG.integers(0, 3, ROWS)
VALIDATION = ({name: rows[:9] for name, rows in X.items()}, Y[:9])


@pytest.fixture(autouse=True, scope="module")
def _however_few():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many_steps, "FEW", 0)
        yield


def network(width: int, seed: int) -> keras.Model:
    def start(number):
        return keras.initializers.GlorotUniform(seed + number)

    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(4, "tanh", kernel_initializer=start(0)),
            keras.layers.Dropout(0.2, seed=seed),
            keras.layers.Dense(3, "softmax", kernel_initializer=start(1)),
        ]
    )


def made(steps, **options) -> coloss.JointModel:
    keras.utils.set_random_seed(5)
    joint = coloss.JointModel({"main": network(4, 1), "help": network(3, 3)})
    joint.compile(
        keras.optimizers.Adam(0.05),
        loss="sparse_categorical_crossentropy",
        objective="main + help + distill(help >> main, gate='network')",
        metrics=["accuracy"],
        steps_per_execution=steps,
        **options,
    )
    return joint


def fit(joint, **options):
    options = {"epochs": 2, "batch_size": BATCH, "verbose": 0, **options}
    return joint.fit(X, Y, validation_data=VALIDATION, **options).history


@pytest.fixture(scope="module")
def both():
    """Return a model trained by "auto", one trained one by one, and their histories."""
    auto, plain = made("auto"), made(1)
    return (auto, fit(auto)), (plain, fit(plain))


def test_equal_to_steps_one_by_one(both) -> None:
    (auto, history), (plain, expected) = both
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    for found, right in zip(auto.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-6)


def test_callbacks_are_called_once_for_many_steps() -> None:
    class Watcher(keras.callbacks.Callback):
        every_step = False
        begun = 0

        def on_train_batch_begin(self, batch, logs=None):
            self.begun += 1

    watcher = Watcher()
    fit(made("auto"), epochs=1, callbacks=[watcher])
    assert watcher.begun == 2


def test_steps_are_taken_one_by_one_where_a_callback_needs_each(caplog) -> None:
    joint, begun = made("auto"), []
    each = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: begun.append(batch)
    )
    with caplog.at_level(logging.WARNING, "coloss"):
        fit(joint, epochs=1, callbacks=[each])
        fit(joint, epochs=1, callbacks=[each])
    assert begun == 2 * list(range(19))
    assert sum("one by one" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("limit", [("HEAVY", 10), ("FEW", 19)])
def test_heavy_or_few_steps_are_taken_one_by_one(limit, monkeypatch) -> None:
    monkeypatch.setattr(many_steps, *limit)
    joint, seen = made("auto"), []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(joint.steps_per_execution)
    )
    watch.every_step = False
    fit(joint, epochs=1, callbacks=[watch])
    assert seen == [1]


def test_evaluate_and_predict_read_every_row_within_a_fit_and_after_it(both) -> None:
    (joint, _), _ = both
    before, seen = joint.predict(X, batch_size=BATCH, verbose=0), []

    class Reader(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept = joint.get_weights()
            joint.set_weights(weights)
            seen.append(joint.predict(X, batch_size=BATCH, verbose=0))
            seen.append(joint.evaluate(X, Y, batch_size=BATCH, verbose=0))
            joint.set_weights(kept)

    weights = joint.get_weights()
    alone = joint.evaluate(X, Y, batch_size=BATCH, verbose=0)
    fit(joint, epochs=1, callbacks=[Reader()])
    joint.set_weights(weights)
    after = joint.predict(X, batch_size=BATCH, verbose=0)
    for found in (seen[0], after):
        for name, expected in before.items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-6)
    np.testing.assert_allclose(seen[1], alone, rtol=1e-6)
    assert joint.steps_per_execution == 1


def test_a_loss_that_is_not_finite_leaves_the_weights() -> None:
    weight = np.ones(ROWS, "float32")
    weight[20:24] = 3e38  # Step 6, in the first call.
    joint, good = made("auto"), made(1)
    with pytest.raises(coloss.NonFiniteLossError, match="epoch 1, steps 1 to 16"):
        joint.fit(X, Y, BATCH, sample_weight=weight, shuffle=False, verbose=0)
    first = {name: rows[:20] for name, rows in X.items()}
    good.fit(first, Y[:20], BATCH, shuffle=False, verbose=0)
    for found, right in zip(joint.get_weights(), good.get_weights(), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("first", [5, 16, 18])
def test_steps_that_were_taken_before_are_not_taken_again(first) -> None:
    joint = made("auto")

    class Skips(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            joint.train_function = Skipping(joint, first, 19)

    fit(joint, epochs=1, callbacks=[Skips()])
    assert int(joint.optimizer.iterations) == 19 - first
