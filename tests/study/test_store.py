"""A study that was interrupted goes on, and does each run once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import coloss
from coloss import checksum
from coloss.study.engines import sequential
from coloss.study.store import Store

STUDY = {
    "arms": {"taught": "main + helper + w*distill(helper >> main)"},
    "coefficients": {"w": [0.5, 2.0]},
    "seeds": 5,
    "epochs": 5,
}
SCRIPT = textwrap.dedent(
    """
    import importlib.util, json, os, signal, sys
    spec = importlib.util.spec_from_file_location("common", sys.argv[2])
    common = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(common)
    import coloss
    from coloss.study.progress import StudyProgress

    counted = StudyProgress.__call__

    def count(bar, epochs):
        counted(bar, epochs)
        if bar.done >= int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)

    StudyProgress.__call__ = count
    study = coloss.Study(
        common.build, common.plain, compile=common.COMPILE, batch_size=8, main="main",
        **json.loads(sys.argv[4]),
    )
    study.run("sequential", path=sys.argv[1], verbose=False)
    """
)


def test_finished_runs_are_not_done_again(study, tmp_path, monkeypatch):
    path = tmp_path / "study.sqlite"
    first = study().run("sequential", path=path, verbose=False)

    def never(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(coloss.JointModel, "train_step", never)
    again = study().run("sequential", path=path, verbose=False)
    assert again.frame.equals(first.frame)


def test_more_seeds_add_runs(study, tmp_path, same_frames):
    path = tmp_path / "study.sqlite"
    given = {"arms": {"alone": "main"}}
    study(**given, seeds=2).run(path=path, verbose=False)
    grown = study(**given, seeds=3).run(path=path, verbose=False)
    assert len(grown.frame) == 3
    same_frames(grown, study(**given, seeds=3).run("sequential", verbose=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 4}, "epochs is 3 there and 4 here"),
        ({"arms": {"alone": "main + 0*helper"}}, "arm alone"),
    ],
)
def test_runs_of_another_study_are_refused(study, tmp_path, options, message):
    path = tmp_path / "study.sqlite"
    given = {"arms": {"alone": "main"}, "seeds": 1}
    study(**given).run("sequential", path=path, verbose=False)
    with pytest.raises(ValueError, match=message):
        study(**{**given, **options}).run("sequential", path=path, verbose=False)


def test_a_file_that_is_no_study_is_refused_and_kept(study, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a data base, but somebody's notes " * 50)
    with pytest.raises(ValueError, match="no file of a study"):
        study().run(path=path, verbose=False)
    assert path.read_text().startswith("not a data base")


def test_changes_that_a_person_accepts_are_told_and_kept(study, tmp_path):
    path = tmp_path / "study.sqlite"
    given = {"arms": {"alone": "main"}, "seeds": 1}
    study(**given).run("sequential", path=path, verbose=False)
    changed = study(**{**given, "epochs": 4, "seeds": 2})
    with pytest.raises(ValueError, match=r"--accept-changes"):
        changed.run("sequential", path=path, verbose=False)
    with pytest.warns(UserWarning, match="epochs is 3 there and 4 here"):
        found = changed.run("sequential", path=path, verbose=False, accept_changes=True)
    assert len(found.frame) == 2
    # Now it is a study of these; and what was accepted stays in the file.
    changed.run("sequential", path=path, verbose=False)
    with pytest.warns(UserWarning, match="null here"):
        store = Store(path, {}, accept_changes=True)
    assert store.accepted[0] == "epochs is 3 there and 4 here"
    store.close()


def test_a_kill_between_a_run_and_its_checksum_is_no_damage(study, tmp_path):
    path = tmp_path / "study.sqlite"
    first = study(seeds=1).run("sequential", path=path, verbose=False)
    checksum.begin_writing(path)  # As a kill leaves it, before or after the run.
    again = study(seeds=1).run("sequential", path=path, verbose=False)
    assert again.frame.equals(first.frame)
    assert checksum.check_beside(path)
    told = checksum.beside(path).read_text()
    assert told == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  study.sqlite\n"


@pytest.mark.slow
def test_killed_at_random_and_resumed_it_gives_the_same_table(
    study, tmp_path, same_frames, monkeypatch
):
    """SIGKILL at three random epochs; what was finished stays as it was."""
    path = tmp_path / "study.sqlite"
    points = np.random.default_rng(int(time.time())).integers(4, 14, 3).tolist()
    before = {}
    for point in points:
        assert _killed_at(point, path) == -signal.SIGKILL, points
        now = _finished(path)
        assert {key: now[key] for key in before} == before, points
        before = now
    assert 1 <= len(before) < 10, points

    trained = []
    train_one = sequential.train_one

    def noted(trial, run, *rest):
        trained.append(run.key)
        return train_one(trial, run, *rest)

    monkeypatch.setattr(sequential, "train_one", noted)
    made = study(**STUDY)
    resumed = made.run("sequential", path=path, verbose=False)
    assert sorted([*trained, *before]) == sorted(run.key for run in made.runs)
    assert {key: _finished(path)[key] for key in before} == before
    same_frames(resumed, made.run("sequential", verbose=False), atol=1e-6)


def _killed_at(epoch, path):
    """Run the study in a process that is killed after so many epochs."""
    common = Path(__file__).with_name("conftest.py")
    arguments = [str(path), str(common), str(epoch), json.dumps(STUDY)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=False,
        timeout=600,
    )
    return done.returncode


def _finished(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, record FROM runs").fetchall())
