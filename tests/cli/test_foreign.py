"""Run folders, networks and studies from elsewhere: damaged, or made to attack."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import sqlite3
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from coloss.checkpoint import files
from coloss.checksum import DamagedFileError
from coloss.cli.app import app
from coloss.cli.errors import Exit
from coloss.run_folder import RunFolder
from coloss.study.arms import Run
from coloss.study.settings import Record
from coloss.study.store import Store
from tests import hostile

from .mistakes import write_case


def call(*arguments, code=Exit.OK):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def refused(*arguments):
    """Return the one sentence in which a command ends, with exit code 2."""
    output = call(*arguments, code=Exit.WRONG)
    told = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(told) == 1 and "Traceback" not in output, output
    assert "not foreseen" not in output, output
    return told[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Files, a run, and a study that has begun."""
    folder = tmp_path_factory.mktemp("home")
    write_case(folder)
    config = folder / "config.toml"
    call("train", config, "--epochs", 1, "-o", folder / "run")
    study = RunFolder(folder / "study")
    study.write_config({})
    study.growing("study.sqlite*")
    store = Store(study.path / "study.sqlite", {"epochs": 1}, {"the data": "0a"})
    store.add(RECORD)
    store.close()
    return folder


@pytest.fixture
def run(home, tmp_path):
    shutil.copytree(home / "run", tmp_path / "run")
    return RunFolder(tmp_path / "run")


RECORD = Record(
    Run("alone", 0),
    {"accuracy": 0.5},
    {"accuracy": 0.25},
    1.5,
    1,
    None,
    [{"loss": 1.0}],
)


def signed(run):
    """List the files as they are now, as an attacker can who made the folder."""
    for name, contents in run.owned._listed().items():
        if contents and (run.path / name).is_file():
            run.owned.finished(name)


COMMANDS = {
    "predict": ("models/acoustic.keras", "acoustic=acoustic.csv", "-o", "p.csv"),
    "export": ("model.keras", "out.keras"),
    "evaluate": ("model.keras",),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_foreign_run_runs_no_code(command, run, home, tmp_path, monkeypatch):
    shutil.copy(home / "acoustic.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    file, *more = COMMANDS[command]
    for what in hostile.FILES:
        if what.startswith("CVE-20") and "GB" not in what:
            path = hostile.written(what, tmp_path)
            shutil.copy(path, run.path / file)
            signed(run)
            told = refused(command, run.path, *more)
            assert file in told, (what, told)
            assert not hostile.ran(tmp_path) and "evil" not in sys.modules, what


def test_an_unfinished_foreign_run_runs_no_code(run, home, tmp_path, monkeypatch):
    shutil.copy(home / "acoustic.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    run.write_json("environment.json", {**run.environment, "status": "running"})
    state = {"variables": {}, "callbacks": []}
    step = run.resume_folder() / "step-00000000"
    files.write(step, files.About(0, 0, False, {}, {}), files.packed(state))
    with run.writing("resume/model.keras") as partial:
        hostile.FILES["CVE-2024-3660, a layer of code"](partial, tmp_path)
    assert "asks for Lambda" in refused("export", run.path, "out.keras")
    assert not hostile.ran(tmp_path)


@pytest.mark.parametrize("what", ["CVE-2024-3660, a layer of code", *hostile.LEGACY])
def test_a_foreign_member_runs_no_code(what, home, tmp_path):
    write_case(tmp_path)
    path = hostile.written(what, tmp_path)
    config = tmp_path / "config.toml"
    text = config.read_text().replace(
        'data = "text.npz"', f'data = "text.npz"\nmodel = "{path.name}"'
    )
    config.write_text(text)
    for command in ("train", "study"):
        told = refused(command, config, "-o", tmp_path / "run")
        assert "members.text.model" in told and path.name in told
    assert not hostile.ran(tmp_path) and not (tmp_path / "run").exists()


def test_a_page_of_a_foreign_run_holds_no_code_of_its_own(run, tmp_path):
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    (run.path / "report.html").unlink()
    for name in ("environment.json", "explanation.json", "data.json"):
        content = json.loads((run.path / name).read_text())
        for key, value in content.items():
            if isinstance(value, str) and key != "latex":
                content[key] = attack
        (run.path / name).write_text(json.dumps(content))
    signed(run)
    call("report", run.path, "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert attack not in page and "onerror=alert(2)>" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("command", [("report",), ("evaluate",)])
@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a": ' + b"9" * 10_000 + b"}", b"[]", b"{", b"\xff"]
)
def test_files_of_a_foreign_run_are_one_sentence(content, command, run, tmp_path):
    for name in ("environment.json", "data.json", "explanation.json"):
        (run.path / name).write_bytes(content)
    signed(run)
    assert ".json" in refused(*command, run.path)


SHAPES = {
    "explanation.json": ("explanation", "text", "members", "summands", "metrics"),
    "data.json": ("members", "class_counts", "labeled", "unlabeled"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_json_of_the_wrong_shape_is_one_sentence(name, run):
    path = run.path / name
    content = json.loads(path.read_text())
    for key in SHAPES[name]:
        run.write_json(name, {**content, key: 7})
        assert "no version of coloss writes" in refused("report", run.path, "--force")


@pytest.mark.parametrize("value", [7, [], {"names": 7, "fill": None}, {"fill": [1]}])
def test_columns_of_the_wrong_shape_are_one_sentence(value, run, home, tmp_path):
    run.write_json("columns.json", {"acoustic": value})
    given = f"acoustic={home / 'acoustic.csv'}"
    told = refused("predict", run.path, given, "-o", tmp_path / "p.csv")
    assert "columns.json' is none that coloss wrote" in told


def test_a_configuration_of_a_foreign_run_is_one_sentence(run):
    for text in ("a = " + "[" * 50_000, "a = " + "9" * 10_000, "a = 1", "\0"):
        (run.path / "config.toml").write_text(text)
        signed(run)
        assert "config.toml" in refused("evaluate", run.path)


def test_every_file_of_a_run_is_compared(run, tmp_path):
    chance = np.random.default_rng(0)
    found = [p for p in run.path.rglob("*") if p.is_file()]
    assert len(found) > 12
    for path in found:
        good = path.read_bytes()
        bad = bytearray(good)
        place = int(chance.integers(8 * len(bad)))
        bad[place // 8] ^= 1 << (place % 8)
        path.write_bytes(bad)
        assert path.name in refused("report", run.path, "-o", tmp_path / "p.html")
        path.write_bytes(good)
    call("report", run.path, "-o", tmp_path / "p.html")


@pytest.mark.parametrize("name", ["config.toml", "model.keras", "log.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "link to nothing", "folder"])
def test_what_is_no_file_is_not_waited_for(kind, name, run):
    (run.path / name).unlink()
    if kind == "pipe":
        os.mkfifo(run.path / name)
    elif kind == "folder":
        (run.path / name).mkdir()
    else:
        (run.path / name).symlink_to("nowhere")
    assert name in refused("evaluate", run.path)


def test_a_run_without_its_list_is_not_trusted(run):
    (run.path / ".coloss.json").unlink()
    assert ".coloss.json' is missing" in refused("evaluate", run.path)


def test_a_pickle_in_a_checkpoint_is_not_read(run, home, tmp_path):
    about = files.About(0, 0, False, {}, {})
    step = run.resume_folder() / "step-00000000"
    files.write(step, about, files.packed({"a": np.zeros(3)}))
    arrays = step / files.ARRAYS
    arrays.write_bytes(pickle.dumps(hostile.Touch(tmp_path)))
    content = arrays.read_bytes()
    manifest = json.loads((step / files.MANIFEST).read_bytes())
    listed = {"bytes": len(content), "sha256": files._digest(content)}
    manifest["files"][files.ARRAYS] = listed
    (step / files.MANIFEST).write_bytes(files._signed(manifest))
    run.write_json("environment.json", {**run.environment, "status": "running"})
    config = home / "config.toml"
    told = refused("train", config, "--epochs", 1, "-o", run.path, "--resume")
    assert "step-00000000" in told and not hostile.ran(tmp_path)


STUDIES = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM study; END",
    "a view": "CREATE VIEW v AS SELECT 1",
    "a view that never ends": "DROP TABLE runs; CREATE VIEW runs AS WITH RECURSIVE "
    "c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n AS key, n AS record, "
    "n AS sha256 FROM c",
    "another table": "CREATE TABLE more (a)",
    "a changed run": "UPDATE runs SET record = replace(record, 'a', 'b')",
    "a changed description": "UPDATE study SET value = '1'",
    "a run of two": "UPDATE runs SET key = key || '1'",
}


@pytest.mark.parametrize("what", STUDIES)
def test_a_foreign_study_gives_rows_and_nothing_else(what, home, tmp_path):
    shutil.copytree(home / "study", tmp_path / "study")
    path = tmp_path / "study" / "study.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(STUDIES[what])
    with pytest.raises(DamagedFileError, match=r"study\.sqlite.*SHA-256"):
        Store(path, {"epochs": 1}).records()
    # And without the checksum of the whole file.
    path.with_name("study.sqlite.sha256").unlink()
    with pytest.raises(DamagedFileError, match=r"study\.sqlite"):
        Store(path, {"epochs": 1}).records()


@pytest.mark.parametrize("kind", ["pipe", "text", "bit"])
def test_a_damaged_study_does_not_go_on(kind, home, tmp_path):
    shutil.copytree(home / "study", tmp_path / "study")
    path = tmp_path / "study" / "study.sqlite"
    content = bytearray(path.read_bytes())
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        content[-1] ^= 1
        path.write_bytes(b"notes " * 5000 if kind == "text" else content)
    config = home / "config.toml"
    told = refused("study", config, "--epochs", 1, "-o", tmp_path / "study")
    assert "study.sqlite" in told
