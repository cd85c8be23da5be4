"""The question's own case from files, in the three commands of the README."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from coloss.cli.app import app
from coloss.run_folder import RunFolder

from .example import CLASSES, WIDTHS, write_files

README = Path(__file__).parents[2] / "README.md"


def commands() -> list[list[str]]:
    text = re.search(
        r"<!-- commands -->\n```\n(.*?)```\n<!-- /commands -->",
        README.read_text(),
        re.DOTALL,
    )
    return [shlex.split(line)[1:] for line in text[1].strip().splitlines()]


def test_three_commands_from_files_to_predictions_and_a_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path, rows=80)
    lines = Path("labels.csv").read_text().replace('"emotion"', '"label"')
    Path("labels.csv").write_text(lines)
    new = Path("acoustic.csv").read_text().replace("clip_", "new_")
    Path("new.csv").write_text(new)
    found = commands()
    assert len(found) == 3
    for command in found:
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    run = RunFolder("run")
    widths = {name: one["width"] for name, one in run.data["members"].items()}
    assert widths == WIDTHS
    missing = {n: sum(m["missing"].values()) for n, m in run.data["members"].items()}
    assert missing == {"acoustic": 0, "visual": 12, "text": 8}
    assert run.report_path.stat().st_size > 10_000
    # Of the training rows it has learned; every row is answered under its own id.
    predictions = pd.read_csv("predictions.csv").set_index("id")
    assert len(predictions) == 80 and predictions.index[0].startswith("new_")
    truth = [CLASSES[int(key.removeprefix("new_")) % 4] for key in predictions.index]
    assert np.mean(predictions["predicted"] == truth) > 0.6
