"""`coloss demo` in its short form: every file, and an honest table."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import coloss
from coloss.cli.app import app
from coloss.cli.demo import summarize
from coloss.cli.demo_runs import ARMS, VIEWS
from coloss.study import Record, Run, StudyResult


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    arguments = ["demo", "--seeds", "3", "--epochs", "40", "--output", str(folder)]
    return folder, CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_prints_explanations_and_the_answer(ran):
    _, result = ran
    assert result.exit_code == 0
    assert "trained UP" in result.output  # the formula on paper
    assert "fou learns from kar" in result.output
    assert "Did the main network gain?" in result.output
    assert "logistic regression, all inputs" in result.output


def test_writes_model_curves_and_table(ran):
    folder, _ = ran
    assert (folder / "learning_curves.png").read_bytes()[:4] == b"\x89PNG"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(arm in page for arm in ARMS)
    table = pd.read_csv(folder / "table.csv").set_index("arm")
    assert list(table.index) == list(ARMS)
    runs = pd.read_csv(folder / "runs.csv")
    assert len(runs) == 3 * len(ARMS)
    mean = runs[runs.arm == "taught"].test_fou_accuracy.mean()
    assert table.loc["taught", "fou"] == pytest.approx(mean)
    # The short form is enough to see who is trained to fail.
    assert table.loc["on paper", "kar"] < 0.3 < table.loc["alone", "kar"]
    assert table.loc["taught", "gain"] > 0.03


def test_the_saved_main_network_is_a_plain_keras_model(ran):
    folder, _ = ran
    model = keras.saving.load_model(folder / "fou.keras")
    assert type(model) is keras.Sequential
    runs = pd.read_csv(folder / "runs.csv")
    taught = runs[runs.arm == "taught"]
    best = taught.loc[taught.validation_fou_accuracy.idxmax()]
    x, y = coloss.data.load_digits_views(("fou",), seed=int(best.seed)).test
    accuracy = np.mean(model.predict(x["fou"], verbose=0).argmax(1) == y)
    # The same run once more, through `fit`: its rounding differs.
    assert accuracy == pytest.approx(best.test_fou_accuracy, abs=0.02)


def _record(arm, seed, fou):
    found = {f"{view}_accuracy": 0.5 for view in VIEWS} | {"fou_accuracy": fou}
    return Record(Run(arm, seed), found, found, 0.1, 1, None, [])


def test_gains_are_paired_by_seed():
    records = [
        _record(arm, seed, 0.5 + 0.1 * seed + shift + noise)
        for arm, shift in zip(ARMS, (0.0, 0.0, 0.01, 0.005, 0.2), strict=True)
        for seed, noise in ((2, shift / 100), (1, -shift / 100), (0, 0.0))
    ]
    result = StudyResult(
        records,
        ARMS,
        main="fou",
        metric="fou_accuracy",
        direction="max",
        baseline="alone",
        controls=["self-training", "twin"],
    )
    table = summarize(result).set_index("arm")
    assert table.loc["taught", "gain"] == pytest.approx(0.2)
    assert 0.15 < table.loc["taught", "gain_low"] < 0.2
    assert table.loc["taught", "verdict"] == "gained"
    assert table.loc["taught", "over_self_training"] == pytest.approx(0.19)
    assert table.loc["taught", "over_twin"] == pytest.approx(0.195)
    assert np.isnan(table.loc["on paper", "over_self_training"])
    assert np.isnan(table.loc["alone", "gain"])


def test_version_and_help_import_no_keras():
    code = (
        "import sys; sys.argv = ['coloss', '--help']\n"
        "from coloss.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'keras' not in sys.modules and 'jax' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout
    result = CliRunner().invoke(app, ["--version"])
    assert result.output.strip() == coloss.__version__
