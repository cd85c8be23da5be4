"""What `fit` promises holds in blocks: callbacks, guard, Ctrl-C, and one sentence."""

from __future__ import annotations

import os
import signal
import threading
import time

import keras
import numpy as np
import pytest

import coloss
from coloss.joint import NonFiniteLossError

if keras.backend.backend() != "jax":
    pytest.skip("blocks of steps are JAX's", allow_module_level=True)

from coloss.joint.epochs.callbacks import needs_every_step

pytestmark = pytest.mark.backend

ROWS, BATCH = 40, 4
RNG = np.random.default_rng(0)
X = {name: RNG.normal(size=(ROWS, 3)).astype("float32") for name in "ab"}
Y = RNG.normal(size=(ROWS, 2)).astype("float32")


def networks():
    return {
        name: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        for name in "ab"
    }


@pytest.fixture(scope="module")
def joint():
    model = coloss.JointModel(networks())
    model.compile("sgd", loss="mse", steps_per_execution="auto")
    model.fit(X, Y, batch_size=BATCH, verbose=0)
    return model


@pytest.fixture
def fit(joint):
    """Return a `fit` that begins at the same weights, in blocks of so many steps."""
    start = [0.1 * np.ones_like(weight) for weight in joint.get_weights()]

    def run(steps=None, **options):
        keras.utils.set_random_seed(0)
        joint.set_weights(start)
        joint.optimizer.learning_rate = 0.01
        joint.train_function.pace.steps = steps
        options = {"epochs": 2, "batch_size": BATCH, "verbose": 0, **options}
        try:
            return joint.fit(X, Y, **options)
        finally:
            joint.train_function.pace.steps = None

    return run


class Watch(keras.callbacks.Callback):
    every_step = False

    def __init__(self):
        super().__init__()
        self.begun, self.ended, self.losses = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.begun.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append(batch)
        self.losses.append(float(logs["loss"]))


class Every(Watch):
    every_step = True


def test_bits_do_not_depend_on_the_size_of_blocks(fit, joint):
    found = []
    for steps in (1, 3, 100):
        history = fit(steps).history
        weights = [weight.tobytes() for weight in joint.get_weights()]
        found.append((history, weights))
    assert found[0] == found[1] == found[2]


def test_callbacks_hear_of_blocks_and_the_bar_of_all_steps(fit):
    watch = Watch()
    fit(4, epochs=1, callbacks=[watch])
    assert (watch.begun, watch.ended) == ([0, 4, 8], [3, 7, 9])
    assert watch.params["steps"] == 10
    every = Every()
    fit(4, epochs=1, callbacks=[every])
    assert every.ended == list(range(10))
    blocks = [every.losses[step] for step in watch.ended]
    np.testing.assert_allclose(watch.losses, blocks, rtol=1e-6)


def test_a_callback_can_end_training_between_blocks_and_read_weights(fit, joint):
    class Ends(Watch):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            self.model.stop_training = True
            self.weights = self.model.get_weights()

    ends = Ends()
    fit(4, callbacks=[ends])
    assert (ends.begun, ends.ended) == ([0], [3])
    for one, other in zip(ends.weights, joint.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_callback_sets_between_blocks_takes_effect(fit, joint):
    class Sets(Watch):
        def on_train_batch_end(self, batch, logs=None):
            for weight in self.model["a"].weights:
                weight.assign(np.full(weight.shape, 100.0))

    fit(9, epochs=1, callbacks=[Sets()])
    assert all(np.all(weight > 50) for weight in joint["a"].get_weights())


def test_rates_and_early_stopping_go_by_epochs_as_ever(fit):
    class Falls(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.0

    history = fit(callbacks=[Falls()], epochs=3).history["loss"]
    assert history[1] == pytest.approx(history[2])
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1e9)
    assert len(fit(callbacks=[stop], epochs=9).epoch) == 2


@pytest.mark.parametrize(
    ("callback", "needs"),
    [
        (keras.callbacks.History(), False),
        (keras.callbacks.ProgbarLogger(), False),
        (keras.callbacks.EarlyStopping(), False),
        (keras.callbacks.TerminateOnNaN(), False),
        (keras.callbacks.ModelCheckpoint("m.keras"), False),
        (keras.callbacks.ModelCheckpoint("m.keras", save_freq=7), True),
        (keras.callbacks.LambdaCallback(on_epoch_end=print), False),
        (keras.callbacks.LambdaCallback(on_train_batch_end=print), True),
        (coloss.callbacks.GradientFlow(), False),
        (Watch(), False),
        (Every(), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_who_needs_every_step(callback, needs):
    assert needs_every_step(callback) is needs


def test_one_sentence_says_why_steps_are_taken_one_by_one(fit, joint, caplog):
    joint.told_reasons = frozenset()
    for _ in range(2):
        fit(callbacks=[Every()], epochs=1)
    [record] = caplog.records
    assert record.name == "coloss"
    assert "the callback Every is called at every step" in record.getMessage()
    fit(steps_per_epoch=2, epochs=1)
    assert "steps_per_epoch is given" in caplog.records[-1].getMessage()


@pytest.fixture
def ctrl_c():
    # What a shell starts in the background ignores it, and would train for ever.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_it_within_a_second_with_weights_in_place(fit, joint):
    def press():
        time.sleep(0.3)
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    pressed = []
    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        fit(epochs=10**6)
    seconds = time.perf_counter() - pressed[0]
    thread.join()
    assert seconds < 1.0
    assert all(np.all(np.isfinite(weight)) for weight in joint.get_weights())
    fit(epochs=1)


def test_the_guard_names_the_step_of_the_plain_path():
    found = []
    for steps in (1, "auto"):
        keras.utils.set_random_seed(1)
        model = coloss.JointModel(networks())
        model.compile(
            keras.optimizers.SGD(1.0),
            loss="mse",
            objective="a - b**2",
            on_ascent="allow",
            steps_per_execution=steps,
        )
        with pytest.raises(NonFiniteLossError) as caught:
            model.fit(X, Y, batch_size=BATCH, epochs=50, verbose=0)
        found.append((str(caught.value), caught.value.step, caught.value.epoch))
        weights = model.get_weights()
        assert all(np.all(np.isfinite(weight)) for weight in weights)
    assert found[0] == found[1]


def test_only_auto_and_numbers_are_taken():
    model = coloss.JointModel(networks())
    for given in ("all", 0, 1.5):
        with pytest.raises((ValueError, TypeError), match="steps_per_execution"):
            model.compile("sgd", loss="mse", steps_per_execution=given)
    model.compile("sgd", loss="mse", steps_per_execution="auto")
    assert model.get_compile_config()["steps_per_execution"] == "auto"
