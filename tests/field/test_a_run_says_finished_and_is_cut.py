"""The job was killed while it saved, and what it left behind said "finished".

Of the kind of Lightning-AI/pytorch-lightning#688 ("Checkpoint saving isn't atomic") and
deepfakes/faceswap#329 ("Unexpected process termination = corrupted model"): what was
cut off looks whole.

Each file that a run writes is a place where it may be killed. At every one of them the
run must not say "finished", and no file may be half written.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import zipfile

import pandas as pd
import pytest

from coloss import writing
from coloss.cli.config import load
from coloss.cli.errors import Exit
from coloss.cli.output import Output
from coloss.cli.runs import session as sessions
from coloss.cli.runs.claim import cleared
from coloss.run_folder import RunFolder
from tests.cli.mistakes import write_case


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Return a training that is ready; what is trained is another test's business."""
    folder = tmp_path_factory.mktemp("case")
    write_case(folder)
    config = load(folder / "config.toml")
    return sessions.prepare(config, folder, Output(quiet=True))


@pytest.fixture
def fitted(monkeypatch):
    def ended(session, run, output, keeper):
        run.write_table("history", [{"epoch": 0, "loss": 1.0}])
        return "finished", None, 0

    monkeypatch.setattr(sessions, "_fit", ended)


def killed_at(number, monkeypatch):
    """Let the process be killed at the move of its file of that number."""
    move, seen = writing._move, []

    def moved(one, target, work):
        seen.append(target.name)
        if len(seen) == number:
            raise Killed
        move(one, target, work)

    monkeypatch.setattr(writing, "_move", moved)
    return seen


def train(session, folder):
    with cleared(folder, force=True):
        pass
    run = RunFolder(folder)
    return sessions.train(session, run, Output(quiet=True), page=True)


FILES = {
    "config.toml",
    "environment.json",
    "data.json",
    "columns.json",
    "explanation.json",
    "history.parquet",
    "acoustic.keras",
    "visual.keras",
    "text.keras",
    "model.keras",
    "evaluation.parquet",
    "report.html",
}


def test_finished_is_written_last(session, fitted, tmp_path, monkeypatch):
    seen = killed_at(None, monkeypatch)
    assert train(session, tmp_path / "run") == Exit.OK
    assert set(seen) == FILES | {".coloss.json"}
    assert seen[-1] == "environment.json"
    assert RunFolder(tmp_path / "run").environment["status"] == "finished"
    page = (tmp_path / "run" / "report.html").read_text()
    assert ">finished<" in page and "This run is not finished" not in page


def test_killed_at_any_file_it_does_not_say_finished(
    session, fitted, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        seen = killed_at(None, patch)
        train(session, tmp_path / "whole")
    for number in range(1, len(seen) + 1):
        run = RunFolder(tmp_path / f"run-{number}")
        with monkeypatch.context() as patch:
            killed_at(number, patch)
            with pytest.raises(Killed):
                train(session, run.path)
        assert (run.environment or {}).get("status") != "finished", seen[number - 1]
        for path in run.path.rglob("*.json"):
            json.loads(path.read_text())
        for path in run.path.rglob("*.parquet"):
            pd.read_parquet(path)
        for path in run.path.rglob("*.keras"):
            assert zipfile.ZipFile(path).testzip() is None
        # And it can be replaced: what it left is its own.
        with cleared(run.path, force=True):
            pass


def test_an_error_while_saving_is_a_run_that_failed(
    session, fitted, tmp_path, monkeypatch
):
    def full(joint, run):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sessions, "save_models", full)
    with pytest.raises(OSError, match="No space left"):
        train(session, tmp_path / "run")
    facts = RunFolder(tmp_path / "run").environment
    assert facts["status"] == "failed" and "No space left" in facts["error"]


def test_an_error_of_the_page_does_not_lose_the_run(
    session, fitted, tmp_path, monkeypatch
):
    def broken(*_):
        raise ValueError("no page")

    monkeypatch.setattr("coloss.report.write_ending", broken)
    with pytest.raises(ValueError, match="no page"):
        train(session, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert run.environment["status"] == "finished"
    assert (run.path / "model.keras").exists() and not run.report_path.exists()


SCRIPT = textwrap.dedent(
    """
    import os, signal, sys
    from coloss import writing
    from coloss.cli.app import app

    move = writing._move

    def moved(one, target, work):
        if target.name == "visual.keras":
            os.kill(os.getpid(), signal.SIGKILL)
        move(one, target, work)

    writing._move = moved
    sys.argv = ["coloss", "train", "config.toml", "--epochs", "1", "--quiet"]
    app()
    """
)


@pytest.mark.slow
def test_a_real_kill_while_networks_are_saved(tmp_path):
    write_case(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=os.environ, check=False
    )
    assert done.returncode == -signal.SIGKILL
    run = RunFolder(tmp_path / "run")
    assert run.environment["status"] == "running"
    models = {path.name for path in (run.path / "models").glob("*.keras")}
    assert models == {"acoustic.keras"}
    left = list((run.path / "models").glob(f"{writing.PARTIAL}*"))
    assert len(left) == 1
    with cleared(run.path, force=True):
        pass
    with contextlib.suppress(FileNotFoundError):
        assert os.listdir(run.path) == [".coloss.json"]
