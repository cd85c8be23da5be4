"""From files to a run folder, and everything that is done with one."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3

import keras
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from coloss.cli.app import app
from coloss.cli.config import load
from coloss.cli.errors import Exit
from coloss.run_folder import RunFolder

from .example import CLASSES, SMALL, write_files


def call(*arguments, code=Exit.OK):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files, a configuration made by `init`, and a run made by `train`."""
    folder = tmp_path_factory.mktemp("files")
    write_files(folder, rows=120, widths=SMALL)
    labels = folder / "labels.csv"
    config = folder / "config.toml"
    files = ("acoustic.csv", "visual.parquet", "text.npz")
    members = [
        f"{name}={name}.{file.split('.')[1]}"
        for name, file in zip(SMALL, files, strict=True)
    ]
    call(
        "init",
        config,
        *members,
        "--labels",
        labels.name,
        "--id",
        "id",
        "--label",
        "emotion",
    )
    text = config.read_text().replace("patience = 15", "patience = 30")
    text = text.replace("[objective]", '[objective]\nfuse = "mean"')
    # Whether a gate opens is another test's business: here every edge teaches.
    text, gates = re.subn(r", gate=.{1,2}network.{1,2}(?=\))", "", text)
    assert gates >= 2
    text = text.replace("seeds = 10", 'seeds = 10\nengine = "sequential"')
    config.write_text(text.replace("learning_rate = 0.001", "learning_rate = 0.01"))
    result = call("train", config, "--epochs", 12, "--json", "--tensorboard")
    (folder / "lines.json").write_text(result.stdout)
    return folder


@pytest.fixture
def run(folder):
    return RunFolder(folder / "run")


def test_init_knows_the_files(folder):
    config = load(folder / "config.toml")
    assert config.members["acoustic"].id == "name"
    assert config.members["acoustic"].columns == ["*", "!frameTime"]
    assert config.main == "acoustic" and config.data.label == "emotion"
    assert "distill(visual >> acoustic" in config.objective_text


def test_every_line_for_machines_is_json(folder):
    lines = [
        json.loads(line) for line in (folder / "lines.json").read_text().splitlines()
    ]
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert [line["epoch"] for line in epochs] == list(range(12))
    assert epochs[3]["val_acoustic_accuracy"] >= 0
    assert lines[-1]["event"] == "end" and lines[-1]["status"] == "finished"


def test_the_run_folder_is_complete(run):
    history = run.history
    assert history["epoch"].tolist() == list(range(12))
    assert {"loss", "val_acoustic_accuracy", "fused_accuracy"} <= set(history)
    assert [e["event"] for e in run.log] == ["start", *["epoch"] * 12, "end"]
    facts = run.environment
    assert facts["status"] == "finished" and facts["backend"] == keras.backend.backend()
    assert facts["best_epoch"] == history["val_acoustic_accuracy"].idxmax()
    assert facts["parameters"]["text"] == 8 * 64 + 65 * 4
    assert run.config["training"]["epochs"] == 12
    assert run.config["data"]["stratify"] is True  # Defaults are written out.
    assert set(run.flow["learner"]) == {"acoustic"} and run.flow["norm"].gt(0).all()
    assert set(run.conflicts["when"]) == {"start", "end"}
    assert (run.path / "checkpoints" / "last.keras").exists()
    assert "data:" in run.report_path.read_text() or run.report_path.stat().st_size


def test_data_is_told_as_it_is(run):
    data = run.data
    assert sum(data["rows"].values()) == 120
    assert sum(data["labeled"].values()) == 96
    assert data["labeled"]["train"] < data["rows"]["train"]  # They teach.
    assert data["labeled"]["test"] == data["rows"]["test"]
    assert data["classes"] == list(CLASSES)
    assert sum(sum(c.values()) for c in data["class_counts"].values()) == 96
    members = data["members"]
    assert {name: one["width"] for name, one in members.items()} == SMALL
    assert sum(members["visual"]["missing"].values()) == 18
    assert sum(members["text"]["missing"].values()) == 11
    assert members["acoustic"]["missing"] == {"train": 0, "validation": 0, "test": 0}


def test_the_explanation_names_what_the_history_has(run):
    told, history = run.explanation, run.history
    assert told["main"] == "acoustic" and set(told["summands"]) <= set(history)
    assert told["metrics"]["fused"] == ["fused_accuracy"]
    assert told["directions"]["acoustic_accuracy"] == "max"
    assert told["explanation"]["flow"]["acoustic"]["acoustic"] > 0
    assert told["text"].startswith("objective: acoustic") and "\\" in told["latex"]


def test_the_main_network_learned(run):
    test = run.evaluation[run.evaluation["split"] == "test"]
    assert (test["label"] == test["predicted"]).mean() > 0.5
    probabilities = test[[f"probability_{c}" for c in range(4)]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert "fused_probability_3" in test


def test_evaluate_agrees_with_the_table(folder, run):
    result = call("evaluate", run.path, "--part", "test", "--json")
    (line,) = result.stdout.splitlines()
    test = run.evaluation[run.evaluation["split"] == "test"]
    expected = (test["label"] == test["predicted"]).mean()
    assert json.loads(line)["test"]["acoustic_accuracy"] == pytest.approx(expected)


def test_predictions_have_ids_and_take_the_files_own_numbers(folder, run, tmp_path):
    out = tmp_path / "p.csv"
    call("predict", run.path, f"acoustic={folder / 'acoustic.csv'}", "-o", out)
    found = pd.read_csv(out)
    table = pd.read_csv(folder / "acoustic.csv", sep=";", quotechar="'")
    assert found["id"].tolist() == table["name"].tolist()
    network = keras.saving.load_model(run.path / "models" / "acoustic.keras")
    raw = table[[f"F{n}" for n in range(9)]].to_numpy("float32")
    expected = network.predict(raw, verbose=0)
    names = [f"probability_{name}" for name in CLASSES]
    np.testing.assert_allclose(found[names].to_numpy(), expected, atol=1e-5)
    assert found["predicted"].tolist() == [CLASSES[c] for c in expected.argmax(1)]
    call("predict", run.path, f"acoustic={folder / 'acoustic.csv'}", "-o", out, code=2)


def test_columns_may_stand_in_another_order_but_none_may_lack(folder, run, tmp_path):
    table = pd.read_parquet(folder / "visual.parquet")
    table[table.columns[::-1]].to_parquet(tmp_path / "other.parquet")
    for name, file in (
        ("a", folder / "visual.parquet"),
        ("b", tmp_path / "other.parquet"),
    ):
        out = tmp_path / f"{name}.parquet"
        call("predict", run.path, f"visual={file}", "-o", out, "--member", "visual")
    first, second = (pd.read_parquet(tmp_path / f"{n}.parquet") for n in "ab")
    pd.testing.assert_frame_equal(first, second)
    table.drop(columns="F3").to_parquet(tmp_path / "less.parquet")
    arguments = (run.path, f"visual={tmp_path / 'less.parquet'}", "--member", "visual")
    result = call("predict", *arguments, "-o", tmp_path / "c.csv", code=2)
    assert "lacks 1 column that 'visual' was trained on" in result.stderr


def test_fused_predictions_join_the_files(folder, run, tmp_path):
    files = [
        f"{n}={folder / f}"
        for n, f in zip(
            SMALL, ("acoustic.csv", "visual.parquet", "text.npz"), strict=True
        )
    ]
    call("predict", run.path, *files, "--fused", "-o", tmp_path / "p.csv")
    assert len(pd.read_csv(tmp_path / "p.csv").dropna()) == 120
    result = call(
        "predict", run.path, files[0], "--fused", "-o", tmp_path / "q.csv", code=2
    )
    assert "there is no file for visual, text" in result.stderr


def test_export_writes_the_main_network(run, tmp_path):
    call("export", run.path, tmp_path / "main.keras")
    model = keras.saving.load_model(tmp_path / "main.keras")
    assert model.input_shape == (None, 9)
    call("export", run.path, tmp_path / "main.keras", code=2)
    result = call("export", run.path, tmp_path / "x.keras", "--member", "txt", code=2)
    assert "did you mean 'text'" in result.stderr


def test_reports_are_drawn_again_and_compare_runs(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run.path, other)
    (other / "report.html").unlink()
    call("report", other)
    assert (other / "report.html").stat().st_size > 10_000
    page = tmp_path / "both.html"
    call("report", run.path, other, "--output", page)
    assert page.stat().st_size > 10_000


def test_tensorboard_files_hold_the_history(run):
    from tensorflow.compat.v1.train import summary_iterator
    from tensorflow.core.util import event_pb2  # noqa: F401  # Registers the format.

    (path,) = (run.path / "tensorboard" / "validation").glob("events*")
    found = {}
    for event in summary_iterator(str(path)):
        for value in event.summary.value:
            if value.tag == "epoch_acoustic_loss":
                found[event.step] = float(
                    np.frombuffer(value.tensor.tensor_content, "f4")[0]
                )
    expected = run.history["val_acoustic_loss"].tolist()
    assert list(found.values()) == pytest.approx(expected, rel=1e-5)


def test_explain_measures_a_batch(folder):
    result = call("explain", folder / "config.toml", "--batch", "--json")
    line = json.loads(result.stdout.splitlines()[-1])
    assert line["flow"]["acoustic"]["acoustic"] > 0
    assert (
        "acoustic learns from visual" in call("explain", folder / "config.toml").stdout
    )


def without_controls(folder):
    """Return a configuration with fewer arms to train."""
    text = (folder / "config.toml").read_text()
    path = folder / "few_arms.toml"
    path.write_text(text.replace('["self-training", "twin"]', "[]"))
    return path


def test_the_controls_that_init_writes_are_arms(folder):
    from coloss.cli.runs.study import prepare_study

    study, _ = prepare_study(load(folder / "config.toml"), folder)
    assert list(study.arms) == ["self-training", "twin", "alone", "taught"]
    twins = study.arms["twin"].build()
    assert twins.assembly.keys == ("acoustic",)


def test_a_study_is_kept_and_goes_on(folder, tmp_path):
    out = tmp_path / "study"
    arguments = (
        "study",
        without_controls(folder),
        "--seeds",
        2,
        "--epochs",
        2,
        "-o",
        out,
    )
    result = call(*arguments, "--no-report")
    assert "gain over 'alone'" in result.stdout
    run = RunFolder(out)
    frame = run.table("study")
    assert len(frame) == 4 and set(frame["arm"]) == {"alone", "taught"}
    assert run.study["metric"] == "acoustic_accuracy"
    assert run.table("study_arms")["verdict"][0] == "baseline"
    with sqlite3.connect(out / "study.sqlite") as store:
        kept = store.execute("SELECT * FROM runs WHERE key LIKE '%seed=0'").fetchall()
        store.execute("DELETE FROM runs WHERE key LIKE '%seed=1'")
    store.close()
    # As a kill leaves it: what the checksum tells is before the last runs.
    (out / "study.sqlite.sha256").unlink()
    call(*arguments, "--no-report", "--quiet")
    pd.testing.assert_frame_equal(
        run.table("study").drop(columns="seconds"), frame.drop(columns="seconds")
    )
    with sqlite3.connect(out / "study.sqlite") as store:
        again = store.execute("SELECT * FROM runs WHERE key LIKE '%seed=0'").fetchall()
    store.close()
    assert again == kept


def test_an_interrupted_study_says_that_it_goes_on(folder, tmp_path, monkeypatch):
    import coloss

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(coloss.Study, "run", interrupted)
    arguments = ("study", folder / "config.toml", "--seeds", 2, "-o", tmp_path / "s")
    result = call(*arguments, code=Exit.INTERRUPTED)
    assert "0 of 8 runs kept" in result.stderr and "goes on" in result.stderr


def test_a_loss_that_is_not_finite_ends_with_1_and_keeps_the_networks(folder, tmp_path):
    config = folder / "wild.toml"
    text = (folder / "config.toml").read_text()
    text = text.replace("learning_rate = 0.01", "learning_rate = 1e30")
    config.write_text(text.replace('"adam"', '"sgd"'))
    out = tmp_path / "wild"
    result = call("train", config, "--epochs", 3, "-o", out, code=Exit.FAILED)
    run = RunFolder(out)
    assert run.environment["status"] == "failed" and run.environment["error"]
    assert run.environment["error"].split(".")[0] in result.stderr.replace("\n", " ")
    assert (out / "models" / "acoustic.keras").exists()
