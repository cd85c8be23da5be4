"""Checkpoints are written beside the training: nothing of that gets lost."""

from __future__ import annotations

import os
import sys
import threading
import time

import keras
import pytest

from coloss.checkpoint import folder
from coloss.checkpoint.beside import BACK, Beside
from tests.checkpoint.interrupted import FIT, Kill, Script


def test_one_piece_of_work_at_a_time_and_none_is_lost():
    beside, going, most, done = Beside(), [], [], []

    def work(number):
        going.append(number)
        most.append(len(going))
        time.sleep(0.01)
        going.pop()
        done.append((number, threading.current_thread() is threading.main_thread()))

    for number in range(5):
        beside.start(lambda number=number: work(number))
    beside.wait()
    assert done == [(number, False) for number in range(5)]
    assert set(most) == {1}


def test_an_error_is_raised_once_in_the_thread_that_asks():
    beside, go = Beside(), threading.Event()

    def fails():
        go.wait(9)
        raise OSError("full")

    beside.start(fails)
    beside.check()  # Not done yet: does not wait.
    go.set()
    with pytest.raises(OSError, match="full"):
        beside.start(pytest.fail)
    beside.wait()
    beside.start(lambda: None)
    beside.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="a priority of a thread")
def test_the_training_goes_first():
    def priority():
        return os.getpriority(os.PRIO_PROCESS, 0)

    beside, before, found = Beside(), priority(), []
    for _ in range(3):
        beside.start(lambda: found.append(priority()))
    beside.wait()
    assert found == [min(before + BACK, 19)] * 3
    assert priority() == before


@pytest.fixture(scope="module")
def script():
    return Script()


def failing(monkeypatch, number):
    """Let the checkpoint with this number fail."""
    whole, calls = folder.CheckpointFolder.write, []

    def write(self, about, state):
        calls.append(about.step)
        if len(calls) == number:
            raise OSError(28, "No space left on device")
        return whole(self, about, state)

    monkeypatch.setattr(folder.CheckpointFolder, "write", write)
    return calls


@pytest.mark.backend
def test_training_ends_at_the_next_step_and_older_checkpoints_stay(
    script, tmp_path, monkeypatch
):
    class Slow(keras.callbacks.Callback):
        every_step = False

        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.05)

    calls = failing(monkeypatch, 2)
    with pytest.raises(OSError, match="No space left"):
        script.run(tmp_path, kill=Slow(), every=3)
    assert calls == [3, 6]
    assert [one.name for one in tmp_path.iterdir()] == ["step-00000003"]
    monkeypatch.undo()
    found = script.run(tmp_path, every=3)
    assert found["epochs"] == [0, 1, 2]


@pytest.mark.backend
def test_an_error_is_not_hidden_by_another_one(script, tmp_path, monkeypatch):
    class Ends(keras.callbacks.Callback):
        """Raises while the failing checkpoint is being written."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyError("mine")

    failing(monkeypatch, 1)
    with pytest.raises(KeyError, match="mine") as raised:
        script.run(tmp_path, kill=Ends())
    assert "could not be written: [Errno 28]" in raised.value.__notes__[0]


@pytest.mark.backend
def test_a_fit_that_ends_by_an_error_leaves_the_last_checkpoint(script, tmp_path):
    whole = folder.CheckpointFolder.write

    def slow(self, about, state):
        time.sleep(0.3)
        return whole(self, about, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder.CheckpointFolder, "write", slow)
        assert script.run(tmp_path, kill=Kill(1)) is None
    assert folder.CheckpointFolder(tmp_path, 2).newest().about.epoch == 1


@pytest.mark.backend
def test_a_last_checkpoint_that_fails_is_an_error_of_fit(script, tmp_path, monkeypatch):
    failing(monkeypatch, FIT["epochs"] + 1)
    with pytest.raises(OSError, match="No space left"):
        script.run(tmp_path)
    assert len(list(tmp_path.glob("step-*"))) == 2
