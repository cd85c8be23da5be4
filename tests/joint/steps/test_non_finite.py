"""A loss that is not finite stops training by name, with the last good weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel, NonFiniteLossError

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 32
XA = RNG.normal(size=(ROWS, 4)).astype("float32")
XB = RNG.normal(size=(ROWS, 4)).astype("float32")
Y = np.arange(ROWS) % 3
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(members, objective, optimizer, loss=LOGITS, **options):
    model = JointModel(members)
    model.compile(
        optimizer, loss=loss, objective=objective, on_ascent="allow", **options
    )
    return model


def finite(model):
    return all(np.all(np.isfinite(weight)) for weight in model.get_weights())


@pytest.mark.filterwarnings("ignore:epoch .* trains to fail")
def test_an_unbounded_objective_ends_with_its_name_and_good_weights(linear):
    members = {"a": linear(4, activation=None), "b": linear(4, activation=None, seed=1)}
    model = compiled(members, "a - b**2", keras.optimizers.SGD(1.0))
    with pytest.raises(NonFiniteLossError, match=r"b\*\*2") as caught:
        model.fit({"a": XA, "b": XB}, Y, batch_size=8, epochs=50, verbose=0)
    assert finite(model)
    assert caught.value.epoch is not None
    assert "epoch" in str(caught.value)
    # The model can be used afterwards.
    model.predict({"a": XA, "b": XB}, verbose=0)


def test_infinite_data_is_told_with_the_member_and_the_weights_before_it(linear):
    members = {"a": linear(4, 2, None), "b": linear(4, 2, None, seed=1)}
    targets = RNG.normal(size=(ROWS, 2)).astype("float32")
    spoilt = targets.copy()
    spoilt[20] = np.inf  # in the third batch
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}

    class Batches(keras.utils.PyDataset):  # Arrays are refused before training.
        def __len__(self):
            return ROWS // 8

        def __getitem__(self, index):
            rows = slice(8 * index, 8 * index + 8)
            x = {"a": XA[rows], "b": XB[rows]}
            return x, {"a": targets[rows], "b": spoilt[rows]}

    start = {name: member.get_weights() for name, member in members.items()}
    model = compiled(members, "a + b", keras.optimizers.SGD(0.01), "mse")
    with pytest.raises(NonFiniteLossError) as caught:
        model.fit(Batches(), shuffle=False, verbose=0)
    assert {"b", "b_loss"} <= set(caught.value.entries)
    assert "a" not in caught.value.entries
    assert "'b'" in str(caught.value)
    found = model.get_weights()
    for name, member in members.items():
        member.set_weights(start[name])
    good = compiled(members, "a + b", keras.optimizers.SGD(0.01), "mse")
    rows = slice(0, 16)
    y = {"a": targets[rows], "b": targets[rows]}
    good.fit({"a": XA[rows], "b": XB[rows]}, y, **options)
    for one, other in zip(found, good.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_training_goes_on_after_the_cause_is_mended(linear):
    members = {"a": linear(4, 2, None)}
    model = compiled(members, "a", keras.optimizers.Adam(0.01), "mse")
    targets = RNG.normal(size=(ROWS, 2)).astype("float32")
    with pytest.raises(NonFiniteLossError):
        model.fit({"a": XA}, 1e30 * targets, verbose=0)
    assert finite(model)
    history = model.fit({"a": XA}, targets, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert finite(model)


def test_an_error_while_a_step_is_built_keeps_the_weights(linear):
    def one_number(y_true, y_pred):
        return keras.ops.mean(y_pred)

    members = {"a": linear(4, 2, None)}
    start = members["a"].get_weights()
    model = compiled(members, "a", "sgd", one_number)
    targets = RNG.normal(size=(ROWS, 2)).astype("float32")
    for way in (model.fit, model.evaluate, model.train_on_batch):
        quiet = {} if way == model.train_on_batch else {"verbose": 0}
        with pytest.raises(ValueError, match="one number for the whole batch"):
            way({"a": XA}, targets, **quiet)
        for one, other in zip(members["a"].get_weights(), start, strict=True):
            np.testing.assert_array_equal(one, other)
    model.compile("sgd", "mse")
    model.fit({"a": XA}, targets, verbose=0)
    assert finite(model)


def test_an_interrupted_fit_keeps_the_weights(linear):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    members = {"a": linear(4, 2, None)}
    start = members["a"].get_weights()
    model = compiled(members, "a", keras.optimizers.SGD(0.01), "mse")
    targets = RNG.normal(size=(ROWS, 2)).astype("float32")
    with pytest.raises(KeyboardInterrupt):
        model.fit({"a": XA}, targets, batch_size=8, verbose=0, callbacks=[Stop()])
    assert finite(model)
    assert any(np.any(a != b) for a, b in zip(model.get_weights(), start, strict=True))
    assert int(model.optimizer.iterations.value) == 3
