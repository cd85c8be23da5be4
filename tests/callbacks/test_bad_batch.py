"""The batch at which training stops being finite can be looked at."""

from __future__ import annotations

import resource

import keras
import numpy as np
import pytest

from coloss.callbacks import BadBatch, Checkpoint
from coloss.joint import NonFiniteLossError
from tests.joint.steps.test_going_on import BAD, BATCH, ROWS, X, Y, build, spoilt

pytestmark = pytest.mark.backend

FIT = {"batch_size": BATCH, "verbose": 0, "epochs": 2}
WEIGHT = np.linspace(0.5, 1.5, ROWS).astype("float32")
MODELS = {}
"""By steps per execution: compiled once."""


def model(steps):
    if steps not in MODELS:
        MODELS[steps] = build("raise", steps)
    return MODELS[steps]


@pytest.mark.parametrize("steps", ["auto", 1])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_rows_of_the_bad_step_are_written(steps, shuffle, tmp_path):
    path, y = tmp_path / "bad.npz", spoilt()
    y[BATCH * BAD + 1] = Y[BATCH * BAD + 1]  # One row is bad.
    # With a share for validation: the rows that are trained on come first.
    with pytest.raises(NonFiniteLossError) as caught:
        model(steps).fit(
            X,
            y,
            sample_weight=WEIGHT,
            shuffle=shuffle,
            validation_split=0.25,
            callbacks=[BadBatch(path)],
            **FIT,
        )
    error = caught.value
    assert error.batch == path and f"The rows of that step are in {path}" in str(error)
    with np.load(path) as found:
        rows = found["rows"]
        assert BATCH * BAD in rows and found["epoch"] == error.epoch == 0
        bad = found["step"][rows == BATCH * BAD]
        assert error.since <= bad <= error.step and set(found["step"]) <= {*range(5)}
        if not shuffle and error.since == error.step:
            assert list(rows) == list(range(BATCH * BAD, BATCH * (BAD + 1)))
        for name in "ab":
            np.testing.assert_array_equal(found[f"x/{name}"], X[name][rows])
        labels = "y" if "y" in found else "y/a"
        weights = "sample_weight" if "sample_weight" in found else "sample_weight/a"
        np.testing.assert_array_equal(found[labels], y[rows])
        np.testing.assert_array_equal(found[weights], WEIGHT[rows])
    assert [one.name for one in tmp_path.iterdir()] == ["bad.npz"]


def test_nothing_is_written_where_all_goes_well_nor_for_another_error(tmp_path):
    class Ends(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError("mine")

    path = tmp_path / "bad.npz"
    model("auto").fit(X, Y, callbacks=[BadBatch(path)], **FIT)
    with pytest.raises(KeyError):
        model("auto").fit(X, Y, callbacks=[BadBatch(path), Ends()], **FIT)
    assert not list(tmp_path.iterdir())


def test_beside_a_checkpoint_and_on_a_full_disk(tmp_path):
    path = tmp_path / "bad.npz"
    callbacks = [BadBatch(path), Checkpoint(tmp_path / "checkpoints")]
    with pytest.raises(NonFiniteLossError) as caught:
        model("auto").fit(X, spoilt(), callbacks=callbacks, **FIT)
    assert caught.value.batch == path
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(NonFiniteLossError) as caught:
            model("auto").fit(X, spoilt(), callbacks=[BadBatch(path)], **FIT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "its batch could not be written" in caught.value.__notes__[0]
    assert path.read_bytes() == before


def test_what_it_cannot_tell_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.npz; found 'bad\.csv'"):
        BadBatch("bad.csv")
    path = tmp_path / "bad.npz"
    with pytest.raises(ValueError, match="with on_nonfinite='skip' it goes on"):
        build("skip").fit(X, Y, callbacks=[BadBatch(path)], **FIT)
    with pytest.raises(ValueError, match="BadBatch needs arrays: of data of type gen"):
        batches = ((X, Y) for _ in range(2))
        model(1).fit(batches, steps_per_epoch=1, callbacks=[BadBatch(path)], verbose=0)
    listed = keras.callbacks.CallbackList([BadBatch(path)])
    with pytest.raises(TypeError, match="instead of a CallbackList"):
        model(1).fit(X, Y, callbacks=listed)
    plain = model(1)["a"]
    plain.compile("sgd", loss="mse")
    with pytest.raises(TypeError, match="found Sequential"):
        plain.fit(X["a"], Y, callbacks=[BadBatch(path)], verbose=0)
