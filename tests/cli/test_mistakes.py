"""No mistake ends in a traceback, begins training, or overwrites anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coloss.cli.app import app
from coloss.cli.errors import Exit

from .mistakes import ALL, TABLE, Mistake, table, write_case


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize("mistake", ALL, ids=lambda one: one.what)
def test_a_sentence_and_nothing_done(mistake: Mistake, tmp_path, monkeypatch):
    folder = tmp_path / "case"
    folder.mkdir()
    monkeypatch.chdir(folder)
    mistake.make(folder)
    before = contents(folder)
    result = CliRunner().invoke(app, list(mistake.command))
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == Exit.WRONG
    assert mistake.said in result.stderr
    assert "Traceback" not in result.output
    assert contents(folder) == before


def test_there_are_many():
    assert len(ALL) >= 40
    assert len({mistake.what for mistake in ALL}) == len(ALL)


def test_the_table_in_the_docs_is_theirs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert TABLE.read_text() == table(tmp_path), "run: python -m tests.cli.mistakes"


def test_every_problem_is_told_at_once_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_case(tmp_path)
    path = tmp_path / "config.toml"
    path.write_text(path.read_text().replace("units = 4", "unit = 4") + "\n[x]\n")
    result = CliRunner().invoke(app, ["validate", "config.toml", "--json"])
    (line,) = result.stdout.splitlines()
    messages = json.loads(line)["messages"]
    assert messages[0].startswith("config.toml:11: members.acoustic.layers[0].unit ")
    assert [m.split(" ")[0].split(":")[1] for m in messages] == ["11", "39", "11"]
    assert len(messages) == 3
