"""A study that was interrupted goes on, and does each run once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import coloss

SCRIPT = textwrap.dedent(
    """
    import importlib.util, sys
    spec = importlib.util.spec_from_file_location("common", sys.argv[2])
    common = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(common)
    import coloss

    study = coloss.Study(
        common.build, common.plain,
        arms={"alone": "main", "taught": "main + helper + distill(helper >> main)"},
        compile=common.COMPILE, seeds=6, epochs=3, batch_size=8, main="main",
    )
    study.run("jax", path=sys.argv[1], verbose=False, chunk=2, form="vmap")
    """
)


def test_finished_runs_are_not_done_again(study, tmp_path, monkeypatch):
    path = tmp_path / "study.sqlite"
    first = study().run(path=path, verbose=False)

    def never(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(coloss.JointModel, "train_step", never)
    again = study().run(path=path, verbose=False)
    assert again.frame.equals(first.frame)


def test_more_seeds_add_runs(study, tmp_path, same_frames):
    path = tmp_path / "study.sqlite"
    study(seeds=2).run(path=path, verbose=False)
    grown = study(seeds=3).run(path=path, verbose=False)
    assert len(grown.frame) == 6
    same_frames(grown, study(seeds=3).run(verbose=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 4}, "epochs is 3 there and 4 here"),
        ({"arms": {"alone": "main", "taught": "main + helper"}}, "arm taught"),
    ],
)
def test_runs_of_another_study_are_refused(study, tmp_path, options, message):
    path = tmp_path / "study.sqlite"
    study().run(path=path, verbose=False)
    with pytest.raises(ValueError, match=message):
        study(**options).run(path=path, verbose=False)


def test_a_file_that_is_no_study_is_refused_and_kept(study, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a data base, but somebody's notes " * 50)
    with pytest.raises(ValueError, match="no file of a study"):
        study().run(path=path, verbose=False)
    assert path.read_text().startswith("not a data base")


@pytest.mark.slow
def test_killed_at_random_and_resumed_it_gives_the_same_table(
    study, tmp_path, same_frames
):
    path = tmp_path / "study.sqlite"
    whole = study(seeds=6).run(verbose=False, chunk=2, form="vmap")
    counts = [_killed_after(path, runs) for runs in (1, 5, 9)]
    assert counts[0] >= 1
    assert counts == sorted(counts)
    assert counts[-1] < 12
    resumed = study(seeds=6).run(path=path, verbose=False, chunk=2, form="vmap")
    same_frames(resumed, whole, atol=1e-6)


def _killed_after(path, runs):
    """Run the study in a process, kill it once so many runs are on disk."""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    common = Path(__file__).with_name("conftest.py")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(common)], env=environment
    )
    try:
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            if _finished(path) >= runs:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    return _finished(path)


def _finished(path):
    if not path.exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0
