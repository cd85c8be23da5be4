"""A run that was killed goes on with --resume, to the bits of one that was not."""

from __future__ import annotations

import datetime
import json
import os
import signal

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from coloss.checkpoint.folder import CheckpointFolder
from coloss.cli.app import app
from coloss.cli.errors import Exit
from coloss.cli.runs import callbacks, session
from coloss.run_folder import RunFolder

from .mistakes import write_case


class Killed(BaseException):
    """What stands for a kill: nobody catches it."""


def call(*arguments, code=Exit.OK):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def weights(run):
    found = keras.saving.load_model(run.path / "model.keras")
    return [np.array(weight) for weight in found.get_weights()]


OPTIONS = ["--epochs", 5, "--no-report", "--output"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A configuration, and a run that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    write_case(folder)
    call("train", folder / "config.toml", *OPTIONS, folder / "run")
    return folder / "config.toml"


def stop(how):
    if how == "killed":
        raise Killed
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(params=["killed", "interrupted"])
def run(request, whole, tmp_path, monkeypatch):
    """A run that ended in its third epoch."""
    monkeypatch.setattr(session, "EVERY", datetime.timedelta(microseconds=1))
    with monkeypatch.context() as patch:
        plain = callbacks.Journal.on_epoch_end

        def end(self, epoch, logs=None):
            plain(self, epoch, logs)
            if epoch == 2:
                stop(request.param)

        patch.setattr(callbacks.Journal, "on_epoch_end", end)
        arguments = [str(a) for a in ("train", whole, *OPTIONS, tmp_path / "run")]
        if request.param == "killed":
            with pytest.raises(Killed):
                CliRunner().invoke(app, arguments, catch_exceptions=False)
        else:
            call(*arguments, code=Exit.INTERRUPTED)
    run = RunFolder(tmp_path / "run")
    status = {"killed": "running", "interrupted": "interrupted"}
    assert run.environment["status"] == status[request.param] and run.can_resume
    return run


def told(*arguments):
    return " ".join(call("train", *arguments, code=Exit.WRONG).split())


def check_what_it_has(run, folder):
    """Hold commands on a run that was killed against its newest checkpoint."""
    found = CheckpointFolder(run.path / "resume", 2).newest()
    (stopping,) = [s for name, _, s in found.state["callbacks"] if name[:5] == "Early"]
    best = stopping["best_weights"]
    out = folder / "acoustic.keras"
    said = " ".join(call("export", run.path, out, "--force").split())
    epoch = stopping["best_epoch"] + 1
    assert f"the networks are those of the best of them (epoch {epoch})" in said
    assert f"from its checkpoint {found.path.name}" in said and "--resume" in said
    own = keras.saving.load_model(out).get_weights()
    places = [i for i, w in enumerate(best) if any(np.array_equal(w, o) for o in own)]
    assert own and len(places) >= len(own)
    told = call("evaluate", run.path, "--json")
    logged = {e["epoch"]: e for e in run.log if e["event"] == "epoch"}
    (figures,) = [json.loads(t) for t in told.splitlines() if '"evaluation"' in t]
    expected = logged[stopping["best_epoch"]]["val_acoustic_loss"]
    assert figures["validation"]["acoustic_loss"] == pytest.approx(expected, 1e-4)
    table = folder / "p.csv"
    rows = f"acoustic={folder / 'acoustic.csv'}"
    call("predict", run.path, rows, "-o", table, "--force")
    assert len(table.read_text().splitlines()) > 10
    call("report", run.path)
    page = run.report_path.read_text()
    assert "This run is not finished" in page and "Learning curves" in page
    assert len(run.history) == len(logged) and "seconds" not in run.history


def test_a_run_that_ended_early_goes_on_to_the_same_bits(run, whole):
    if run.status == "running":
        check_what_it_has(run, whole.parent)
    else:
        said = call("evaluate", run.path, "--quiet") + call("report", run.path)
        assert "is interrupted, not finished" in " ".join(said.split())
    assert "It is not finished: go on with it: --resume" in told(
        whole, *OPTIONS, run.path
    )
    assert "training.epochs (5 there, " in told(whole, "--resume", "-o", run.path)
    call("train", whole, *OPTIONS, run.path, "--resume")
    other = RunFolder(whole.parent / "run")
    assert run.environment["status"] == "finished"
    for name in ("history", "evaluation", "flow"):
        found, expected = run.table(name), other.table(name)
        assert (found is None) == (expected is None)
        assert found is None or found.equals(expected), name
    for found, expected in zip(weights(run), weights(other), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [line["event"] for line in run.log].count("resume") == 1
    assert not (run.path / "resume").exists() and not run.owned.foreign()
    assert "is finished" in told(whole, *OPTIONS, run.path, "--resume")


def test_what_cannot_go_on_is_refused(whole, tmp_path):
    assert "--resume: there is no folder" in told(
        whole, "--resume", "-o", tmp_path / "a"
    )
    assert "give one of them" in told(whole, "--resume", "--force")


def test_changes_that_a_person_accepts_are_told(run, whole):
    config = whole.with_name("other.toml")
    text = whole.read_text().replace("w = 0.5", "w = 0.25")
    config.write_text(text)
    arguments = (config, *OPTIONS, run.path, "--resume")
    assert "coefficients.w (0.5 there, 0.25 here)" in told(*arguments)
    said = " ".join(call("train", *arguments, "--accept-changes").split())
    assert "accepted: coefficients.w (0.5 there, 0.25 here)" in said
    assert "a checkpoint of another training; accepted: the coefficients" in said
    assert run.environment["status"] == "finished"


def test_changes_are_accepted_of_a_run_that_goes_on_only(whole, tmp_path):
    arguments = (whole, *OPTIONS, tmp_path / "run", "--accept-changes")
    assert "is for a run that goes on: --resume" in told(*arguments)
