"""`on_nonfinite`: training that goes on after a step that was not finite."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel, NonFiniteLossError
from coloss.joint.steps.going_on import LossScale
from coloss.objective import ObjectiveWarning

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS, BATCH = 24, 4
X = {name: RNG.normal(size=(ROWS, 3)).astype("float32") for name in "ab"}
Y = RNG.normal(size=(ROWS, 2)).astype("float32")
FIT = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
BAD = 2
"""The step whose targets are so large that the loss overflows."""


def spoilt():
    y = Y.copy()
    y[BATCH * BAD : BATCH * BAD + 2] = 1e30
    return y


def build(policy, steps="auto", **options):
    keras.utils.set_random_seed(0)
    members = {
        name: keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(2),
            ]
        )
        for name in "ab"
    }
    model = JointModel(members)
    given = {"optimizer": keras.optimizers.Adam(0.01), "metrics": ["mae"], **options}
    model.compile(
        loss="mse",
        objective="a + b + 0.5*match_logits(b >> a)",
        on_nonfinite=policy,
        steps_per_execution=steps,
        **given,
    )
    return model


def numbers(model):
    found = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(one.value) for one in found]


def without_the_step():
    """Return what a training leaves that never saw the bad batch: the reference."""
    model = build("raise")
    keep = np.r_[0 : BATCH * BAD, BATCH * (BAD + 1) : ROWS]
    rows = {name: values[keep] for name, values in X.items()}
    history = model.fit(rows, Y[keep], **FIT).history
    return model, history


@pytest.mark.parametrize("steps", ["auto", 1])
def test_a_skipped_step_is_as_one_that_never_was(steps):
    expected, history = without_the_step()
    model = build("skip", steps)
    with pytest.warns(ObjectiveWarning, match="epoch 1: 1 of 6 steps were not finite"):
        found = model.fit(X, spoilt(), validation_data=(X, Y), **FIT).history
    for one, other in zip(numbers(model), numbers(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for name, values in history.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)
    assert found["skipped_steps"] == [1] and "val_skipped_steps" not in found


def test_raise_is_the_default_and_a_wrong_word_is_refused():
    model = build("raise")
    with pytest.raises(NonFiniteLossError, match="step 3"):
        model.fit(X, spoilt(), **FIT)
    with pytest.raises(ValueError, match=r"on_nonfinite 'skp'; did you mean 'skip'\?"):
        build("skp")


def test_a_restored_epoch_is_as_one_that_never_was():
    model, before = build("restore"), []

    class Keep(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                before.extend(numbers(model))

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.after = numbers(model)

    bad = [False, True, False]

    class Batches(keras.utils.PyDataset):
        epoch = -1

        def __len__(self):
            return ROWS // BATCH

        def __getitem__(self, index):
            y = spoilt() if bad[max(0, self.epoch)] else Y
            rows = slice(BATCH * index, BATCH * (index + 1))
            return {name: values[rows] for name, values in X.items()}, y[rows]

        def on_epoch_begin(self):
            self.epoch += 1

    keep = Keep()
    with pytest.warns(ObjectiveWarning, match="epoch 2: 1 of 6 .* before the epoch"):
        options = {"epochs": 3, "verbose": 0, "shuffle": False}
        found = model.fit(Batches(), callbacks=[keep], **options).history
    for one, other in zip(keep.after, before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found["skipped_steps"] == [0, 1, 0] and np.isfinite(found["loss"]).all()


@pytest.mark.filterwarnings("ignore:epoch")
def test_it_ends_where_every_step_is_bad_or_every_epoch_is_taken_back():
    model = build("skip")
    start = model.get_weights()
    with pytest.raises(NonFiniteLossError, match="6 of 6 steps were not finite"):
        model.fit(X, np.full_like(Y, 1e30), **FIT)
    for one, other in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(one, other)
    model = build("restore")
    start = model.get_weights()
    with pytest.raises(NonFiniteLossError, match="as in the 2 epochs before"):
        model.fit(X, spoilt(), epochs=9, validation_data=(X, Y), **FIT)
    for one, other in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_word_is_saved_with_the_model(tmp_path):
    model = build("skip")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.compiled_settings.step_report.policy == "skip"


def test_a_scale_that_falls_is_told_once():
    scaled = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.01), initial_scale=1.0
    )
    model = build("raise", optimizer=scaled)
    model.optimizer.build(model.trainable_variables)
    callback = LossScale()
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0)
    scaled.dynamic_scale.assign(0.25)
    with pytest.warns(ObjectiveWarning, match=r"epoch 2: .* scale is down to 0.25"):
        callback.on_epoch_end(1)
    callback.on_epoch_end(2)
