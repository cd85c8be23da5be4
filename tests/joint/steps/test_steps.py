"""The guard: a step that is not finite changes nothing, and training says so."""

from __future__ import annotations

import functools
import threading
import time

import keras
import numpy as np
import pytest

from coloss.joint.autodiff.replica_loss import replica_scaled
from coloss.joint.optimizers.resolve import resolve
from coloss.joint.steps import (
    NonFiniteGuard,
    NonFiniteLossError,
    Steps,
    raise_if_not_finite,
)
from coloss.joint.steps.moved_variables import moved_by_forward

pytestmark = pytest.mark.backend
BACKEND = keras.backend.backend()
BATCH, BATCHES = 4, 8


class Guarded(Steps, keras.Model):
    """One network; the gradient at x is made infinite where x[:, 0] is 7."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network
        self.built = True

    def call(self, inputs, training=False):
        return self.network(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **_):
        ops = keras.ops
        loss = ops.mean(ops.square(y_pred - ops.convert_to_tensor(y)))
        x = ops.convert_to_tensor(x)
        mark = ops.cast(ops.any(ops.equal(x[:, 0], 7.0)), "float32")
        # The square root's slope at 0 is infinite, while its value is 0.
        edge = ops.sqrt(ops.sum(ops.square(y_pred)) * (1.0 - mark))
        return loss + edge - ops.stop_gradient(edge)


def model(optimizer="adam", **options) -> Guarded:
    kernel = keras.initializers.RandomNormal(seed=1)
    layers = [
        keras.Input((3,)),
        keras.layers.Dense(4, "tanh", kernel_initializer=kernel),
        keras.layers.BatchNormalization(momentum=0.5),
        keras.layers.Dense(1, kernel_initializer=kernel),
    ]
    made = Guarded(keras.Sequential(layers))
    made.compile(optimizer=optimizer, **options)
    # As `JointModel.fit` does: a step that makes variables is traced twice.
    made.optimizer.build(made.trainable_variables)
    return made


@functools.cache
def _first(options) -> tuple[Guarded, list]:
    made = model(**dict(options))
    return made, [np.array(v) for v in variables(made)]


def fresh(**options) -> Guarded:
    """Return the one model of these options, as it was made: it is compiled once."""
    made, start = _first(tuple(options.items()))
    for variable, value in zip(variables(made), start, strict=True):
        variable.assign(value)
    return made


def variables(made) -> list:
    return [*made.weights, *made.optimizer.variables]


def batches(bad: dict[int, str] | None = None):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * BATCHES, 3)).astype("float32")
    y = rng.normal(size=(BATCH * BATCHES, 1)).astype("float32")
    for batch, kind in (bad or {}).items():
        if kind == "gradient":
            x[batch * BATCH, 0] = 7.0
        else:
            y[batch * BATCH] = float(kind)
    return x, y


def fit(made, bad=None, epochs=1, callbacks=(), stop=None):
    x, y = batches(bad)
    x, y = x[: stop and stop * BATCH], y[: stop and stop * BATCH]
    return made.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )


def state(made) -> list[bytes]:
    return [keras.ops.convert_to_numpy(v).tobytes() for v in variables(made)]


MODES = [{"run_eagerly": True}]
if BACKEND != "torch":
    MODES.append({"jit_compile": True})
if BACKEND != "jax":  # There it is the eager step.
    MODES.append({"jit_compile": False})


@pytest.mark.parametrize("options", MODES, ids=lambda o: next(iter(o)) + str(o))
@pytest.mark.parametrize("kind", ["nan", "inf", "-inf", "gradient"])
def test_the_last_good_state_is_kept_and_named(options, kind) -> None:
    # Alone, JAX compiles the operations of each step again: few steps.
    step, steps = (1, 2) if options == {"run_eagerly": True} else (5, BATCHES)
    good = fresh(**options)
    fit(good, stop=step)
    expected = state(good)
    bad = fresh(**options)
    words = rf"in epoch 1, step {step + 1}\."
    with pytest.raises(NonFiniteLossError, match=words) as caught:
        fit(bad, {step: kind}, callbacks=[NonFiniteGuard()], stop=steps)
    assert (caught.value.epoch, caught.value.step) == (0, step)
    assert list(caught.value.entries) == ["loss"]
    assert state(bad) == expected != state(fresh(**options))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        lambda: keras.optimizers.AdamW(0.01, use_ema=True),
        lambda: resolve({"*": "adamw"}, {"network": None}),
        lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    ],
    ids=["momentum", "average", "joint", "accumulation"],
)
def test_every_optimizer_is_kept(optimizer) -> None:
    made = model("sgd")
    chosen = optimizer()
    if hasattr(chosen, "groups"):
        chosen.bind({"network": made.network})
    made.compile(optimizer=chosen)
    x, y = batches()
    made.train_on_batch(x[:BATCH], y[:BATCH])
    before = state(made)
    made.train_on_batch(x[:BATCH], y[:BATCH] * np.nan)
    assert state(made) == before
    made.reset_metrics()
    made.train_on_batch(x[:BATCH], y[:BATCH])
    assert state(made) != before


def test_later_steps_of_the_epoch_change_nothing() -> None:
    one = fresh()
    fit(one, {2: "nan"})
    found = state(one)
    two = fresh()
    fit(two, stop=2)
    assert found == state(two)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses it on torch")
def test_steps_per_execution() -> None:
    good, bad = fresh(), model(steps_per_execution=4)
    fit(good, stop=5)
    with pytest.raises(NonFiniteLossError, match="epoch 1, steps 5 to 8"):
        fit(bad, {5: "gradient"}, callbacks=[NonFiniteGuard()])
    assert state(bad) == state(good)


def test_finite_training_is_that_of_keras() -> None:
    one, two = fresh(), model()
    two.guarded = False
    losses = [fit(made, epochs=3).history["loss"] for made in (one, two)]
    assert losses[0] == pytest.approx(losses[1])
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


def test_a_variable_without_gradient_is_moved_alike_everywhere() -> None:
    """Weight decay acts on it on JAX; so it does on the others."""
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    made = Guarded(network)
    made.extra = made.add_weight(shape=(2,), initializer="ones", name="extra")
    made.compile(optimizer=keras.optimizers.AdamW(0.1, weight_decay=0.5))
    fit(made, stop=1)
    np.testing.assert_allclose(made.extra.numpy(), 0.95, atol=1e-6)


def test_loss_scale_optimizer_lowers_its_scale() -> None:
    scaler = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=1e38
    )
    made = model(scaler)
    before = made.network.trainable_variables[0].numpy()
    fit(made, {0: "1000", 1: "1000"}, stop=2, callbacks=[NonFiniteGuard()])
    assert float(keras.ops.convert_to_numpy(scaler.dynamic_scale)) < 1e38
    assert np.array_equal(made.network.trainable_variables[0].numpy(), before)


def test_all_frozen() -> None:
    made = model()
    made.network.trainable = False
    made.compile(optimizer="adam")
    before = [w.tobytes() for w in made.get_weights()]
    fit(made, stop=2)
    assert [w.tobytes() for w in made.get_weights()] == before


def test_the_guard_needs_no_batch_at_once() -> None:
    """Keras then calls callbacks behind the computation, as without the guard."""
    assert NonFiniteGuard.async_safe
    listed = keras.callbacks.CallbackList([NonFiniteGuard()])
    assert listed._async_train == keras.callbacks.CallbackList([])._async_train


def test_the_first_bad_batch_is_named_whatever_order_threads_bring() -> None:
    guard, fine = NonFiniteGuard(), {"loss": 1.0}
    bad = {"loss": float("nan")}
    guard.on_epoch_begin(3)
    for batch in range(4):
        guard.on_train_batch_begin(batch)
    brought = []

    def bring() -> None:
        for batch, logs in [(3, bad), (0, fine), (2, bad), (1, fine)]:
            brought.append(batch)
            guard.on_train_batch_end(batch, logs)
            time.sleep(0.02)

    thread = threading.Thread(target=bring)
    thread.start()
    while not brought:
        time.sleep(0.001)
    with pytest.raises(NonFiniteLossError, match="in epoch 4, step 3") as caught:
        guard.on_train_batch_begin(4)
        guard.on_epoch_end(3)
    thread.join()
    assert caught.value.step == 2


def test_the_error_names_the_terms() -> None:
    logs = {"loss": float("nan"), "acoustic": 1.0, "text": float("inf")}
    with pytest.raises(
        NonFiniteLossError, match=r"not finite: 'text' \(inf\), in"
    ) as e:
        raise_if_not_finite(logs, epoch=2, step=3)
    assert set(e.value.entries) == {"loss", "text"}
    with pytest.raises(NonFiniteLossError, match="though every logged term is"):
        raise_if_not_finite({"loss": float("nan"), "acoustic": 1.0, "lr": "x"})
    raise_if_not_finite({"loss": 1.0, "text": float("inf")})
    raise_if_not_finite({})
    raise_if_not_finite(None)


def test_what_is_moved_by_a_forward_pass() -> None:
    network = keras.Sequential(
        [
            keras.Input((100,)),
            keras.layers.Dense(100, use_bias=False),
            keras.layers.BatchNormalization(),
        ]
    )
    names = [v.name for v in moved_by_forward(network)]
    network.trainable = False
    assert names == ["moving_mean", "moving_variance"]
    assert [v.name for v in moved_by_forward(network)] == names


def test_one_replica_has_the_whole_loss() -> None:
    loss = keras.ops.convert_to_tensor(2.0)
    assert float(replica_scaled(loss)) == 2.0
