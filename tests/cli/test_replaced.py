"""`--force` keeps the old run until there is something in its place."""

from __future__ import annotations

import os

import pytest

from coloss.cli.errors import CliError
from coloss.cli.runs.claim import claim, cleared
from coloss.cli.runs.replaced import OLD, has_begun, set_aside
from coloss.owned_folder import MARK
from coloss.run_folder import RunFolder


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.write_config({"seed": 1})
    run.write_json("data.json", {"rows": {"train": 80}})
    with run.writing("models/a.keras") as partial:
        partial.write_bytes(b"network")
    checkpoint(run)
    return run


def checkpoint(run):
    place = run.resume_folder() / "step-00000001"
    place.mkdir(parents=True)
    (place / "state.json").write_text("{}")


def held(run):
    return {
        str(one.relative_to(run.path)): one.read_bytes()
        for one in sorted(run.path.rglob("*"))
        if one.is_file()
    }


def begin(run):
    """Write what a new run writes before its first checkpoint."""
    run.write_config({"seed": 2})
    run.append_log("start")


def test_the_old_run_comes_back_after_an_error(run):
    before = held(run)
    with pytest.raises(OSError, match="full"), cleared(run.path, force=True):
        assert sorted(one.name for one in run.path.iterdir()) == [OLD, MARK]
        begin(run)
        raise OSError("full")
    assert held(run) == before
    run.owned.check()


def test_the_old_run_goes_when_the_new_one_has_begun(run):
    with cleared(run.path, force=True):
        begin(run)
    assert run.config == {"seed": 2} and not (run.path / OLD).exists()
    with pytest.raises(OSError, match="full"), cleared(run.path, force=True):
        begin(run)
        checkpoint(run)
        raise OSError("full")
    assert has_begun(run.path) and not (run.path / OLD).exists()


class Killed(BaseException):
    """What stands for a kill: the block around it gets no say."""


@pytest.mark.parametrize("moves", range(12))
def test_a_kill_at_any_move_loses_nothing(run, moves, monkeypatch):
    """The old run is back with the next command, wherever the last one was killed."""
    plain, left, before = os.replace, [moves], held(run)

    def replace(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return plain(*arguments)

    killed = False
    for step in (lambda: set_aside(run.path), lambda: begin(run)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            try:
                step()
            except Killed:
                killed = True
                break
    left[0] = moves // 2
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        try:
            claim(run.path, force=True)  # Killed as well, and called again.
        except Killed:
            killed = True
    claim(run.path, force=True)
    assert killed or moves > 3
    assert held(run) == before
    run.owned.check()


def test_empty_folders_are_in_nobodys_way(run):
    for _ in range(2):
        with cleared(run.path, force=True):
            begin(run)
            run.resume_folder().mkdir()
    assert not (run.path / OLD).exists()
    with pytest.raises(OSError, match="full"), cleared(run.path, force=True):
        run.resume_folder().mkdir()
        raise OSError("full")
    claim(run.path, force=True)


def test_what_is_somebody_elses_stays(run):
    with cleared(run.path, force=True):
        (run.path / OLD / "mine.txt").write_text("mine")
        begin(run)
        checkpoint(run)
    assert (run.path / OLD / "mine.txt").read_text() == "mine"
    with pytest.raises(CliError, match=f"did not write: '{OLD}'"):
        claim(run.path, force=True)
