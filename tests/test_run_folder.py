"""The run folder: what is written comes back, whole or not at all."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from coloss.checksum import DamagedFileError
from coloss.run_folder import TABLES, RunFolder


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "run")


def test_what_was_not_written_is_none(run):
    run.path.mkdir()
    named = (run.config, run.environment, run.explanation, run.data, run.study)
    assert named == (None,) * 5
    assert run.log == [] and run.history is None
    assert all(run.table(name) is None for name in TABLES)


def test_a_configuration_comes_back_without_what_is_none(run):
    config = {"data": {"id": "row", "split": None}, "members": {"a": {"layers": [1]}}}
    run.write_config(config)
    del config["data"]["split"]
    assert run.config == config


def test_tables_come_back(run):
    run.write_table("history", [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 1.0}])
    assert run.history.to_dict("list") == {"epoch": [0, 1], "loss": [1.5, 1.0]}
    run.write_table("flow", pd.DataFrame({"epoch": []}))
    assert run.flow is None


def test_an_unknown_table_is_refused(run):
    with pytest.raises(ValueError, match="no table 'histories'"):
        run.write_table("histories", [])


def test_a_line_of_the_log_that_was_cut_off_is_left_out(run):
    run.append_log("epoch", epoch=0, loss=1.5)
    run.append_log("epoch", epoch=1, loss=1.0)
    with (run.path / "log.jsonl").open("a") as file:
        file.write('{"event": "epo')
    first, last = run.log
    assert (first["event"], first["epoch"], first["loss"]) == ("epoch", 0, 1.5)
    assert last["epoch"] == 1


def test_a_log_that_is_complete_is_compared(run):
    run.append_log("epoch", epoch=0)
    run.append_log("end")
    run.append_log("resume")  # And goes on.
    run.append_log("end")
    assert [one["event"] for one in run.log] == ["epoch", "end", "resume", "end"]
    with (run.path / "log.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(
        DamagedFileError, match=r"log\.jsonl' is not as coloss wrote it"
    ):
        _ = run.log


def test_a_file_is_replaced_whole(run):
    run.write_json("data.json", {"a": 1})
    with pytest.raises(TypeError):
        run.write_json("data.json", {"a": object()})
    assert run.data == {"a": 1}
    run.write_json("data.json", {"a": 2})
    assert json.loads((run.path / "data.json").read_text()) == {"a": 2}
    names = {path.name for path in run.path.iterdir()}
    assert names == {"data.json", ".coloss.json"}


def test_only_a_run_is_opened(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        RunFolder.opened(run.path)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        RunFolder.opened(tmp_path)
    run.write_config({})
    assert RunFolder.opened(run.path) == run
