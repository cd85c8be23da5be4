"""Data and settings from which nothing can be learned, and machines that lack a part.

Of this kind: experiencor/keras-yolo3 issue 83 and ultralytics/yolov5 issue 423 (one
class: a loss of 0, without a word), keras-team/keras issue 18955 (a traceback where a
backend is not installed). The others were found by trying.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import coloss
from coloss.cli.app import app
from coloss.cli.config import parse
from coloss.cli.runs.tell import rates

ROWS = 60
IDS = [f"r{row}" for row in range(ROWS)]
TEXT = """\
[data]
labels = "labels.csv"
label = "y"
id = "id"
{data}
[members.a]
data = "a.csv"
{member}
[training]
epochs = 1
{training}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    return tmp_path


def write(
    folder, labels=None, values=None, parts=None, data="", member="", training=""
):
    labels = [f"c{row % 2}" for row in range(ROWS)] if labels is None else labels
    columns = {"id": IDS, "y": labels}
    if parts is not None:
        columns["part"] = parts
    pd.DataFrame(columns).to_csv(folder / "labels.csv", index=False)
    random = np.random.default_rng(0).normal(size=(ROWS, 2))
    table = pd.DataFrame(random if values is None else values, columns=["f", "g"])
    table.insert(0, "id", IDS)
    table.to_csv(folder / "a.csv", index=False)
    text = TEXT.replace("{data}", data).replace("{member}", member)
    (folder / "c.toml").write_text(text.replace("{training}", training))


def call(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


NONE = np.full((ROWS, 2), np.nan)
TRAIN = [
    "train" if row % 2 else ["validation", "test"][row % 4 // 2] for row in range(ROWS)
]
REFUSED = {
    "no label": ({"labels": ["?"] * ROWS}, "has no label at all"),
    "-1 everywhere": ({"labels": [-1] * ROWS}, "has no label at all"),
    "one class": ({"labels": ["c"] * ROWS}, "has one class only, 'c'"),
    "one class of two that are listed": (
        {"labels": ["c"] * ROWS, "data": 'classes = ["b", "c"]'},
        "has one class only, 'c'",
    ),
    "one class in the rows for train": (
        {"parts": TRAIN, "data": 'split = "part"'},
        "the rows for train have one class only, 'c1'",
    ),
    "no input": ({"values": NONE}, "has no column of numbers"),
    "no input in the rows for train": (
        {
            "values": np.where(np.array(TRAIN)[:, None] == "train", NONE, 1.0),
            "labels": [f"c{row // 2 % 2}" for row in range(ROWS)],
            "parts": TRAIN,
            "data": 'split = "part"',
        },
        "no training row has its features",
    ),
}


@pytest.mark.parametrize(
    "command", [("validate", "c.toml", "--data"), ("train", "c.toml")]
)
@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused(folder, case, command):
    given, said = REFUSED[case]
    write(folder, **given)
    assert said in call(*command, code=2).stderr
    assert not (folder / "run").exists()


def test_what_is_taken_as_unlabeled_is_counted(folder):
    labels = ["?", "", "-1"] * 3 + [f"c{row % 2}" for row in range(ROWS - 9)]
    write(folder, labels)
    told = call("validate", "c.toml", "--data").stdout
    assert "taken as unlabeled: 9 rows" in told
    for what in ("6 with an empty cell or '?'", "3 with '-1'"):
        assert what in told
    line = json.loads(
        call("validate", "c.toml", "--data", "--json").stdout.split("\n")[0]
    )
    assert line["unlabeled"] == {"an empty cell or '?'": 6, "'-1'": 3}


PARTS = ["train", "validation", "train", "test"] * (ROWS // 4)
DEALT = list(enumerate(PARTS))
DOUBTS = {
    "a class that no row for validation has": (
        {
            "labels": [f"c{row % 2}" if row < 58 else "rare" for row in range(ROWS)],
        },
        "no row for validation is of class 'rare'",
    ),
    "no labeled row with features": (
        {
            "labels": [f"c{row // 2 % 2}" if row % 2 else "?" for row in range(ROWS)],
            "values": np.where(np.arange(ROWS)[:, None] % 2, NONE, 1.0),
        },
        "'a' has labels on 22 rows and inputs on 30, and no row has both",
    ),
    "no labeled row for validation with features": (
        {
            "labels": [f"c{n % 3}" for n in range(ROWS)],
            "values": np.where(np.array(PARTS)[:, None] == "validation", NONE, 1.0),
            "parts": PARTS,
            "data": 'split = "part"',
        },
        "validation data: input of 'a' is missing (NaN) on all 15 rows",
    ),
    "one class in the rows for test": (
        {
            "labels": ["c0" if p == "test" else f"c{n % 3}" for n, p in DEALT],
            "parts": PARTS,
            "data": 'split = "part"',
        },
        "test data: labels of 'a' are of one class only (c0, 15 labels)",
    ),
    "a rate of a million": (
        {"training": "learning_rate = 1e6"},
        "the learning rate of all members (adam) is 1e+06",
    ),
    "a rate of a million for one network": (
        {"member": "learning_rate = 1e6"},
        "the learning rate of 'a' (adam) is 1e+06",
    ),
}


@pytest.mark.parametrize("case", DOUBTS)
def test_it_is_doubted(folder, case):
    given, said = DOUBTS[case]
    write(folder, **given)
    assert said in call("validate", "c.toml", "--data").stderr


@pytest.mark.backend
def test_train_says_what_validate_says_and_each_once(folder):
    given, first = DOUBTS["no labeled row for validation with features"]
    write(folder, **given, training="learning_rate = 1e6")
    notes = [
        line
        for line in call("validate", "c.toml", "--data").stderr.splitlines()
        if line.startswith("note:")
    ]
    assert any(first in line for line in notes) and len(notes) == 2
    said = call("train", "c.toml").stderr
    assert [said.count(line) for line in notes] == [1, 1]
    # What `fit` warns of is the same, and not said again in other words.
    assert said.count("learning rate") == said.count("is missing (NaN)") == 1


@pytest.mark.parametrize(
    ("unlisted", "number", "said"),
    [
        ("drop", 3, "a: left out 3 ids without a row among the labels"),
        ("drop", 1, "a: left out 1 id without a row among the labels"),
        ("drop", 0, None),
        ("unlabeled", 3, None),
    ],
)
def test_ids_without_a_label_row_that_are_dropped_are_counted(
    folder, unlisted, number, said
):
    write(folder, data=f'unlisted = "{unlisted}"')
    table = pd.read_csv(folder / "labels.csv")
    table.iloc[: ROWS - number].to_csv(folder / "labels.csv", index=False)
    told = call("validate", "c.toml", "--data").stdout
    assert (said in told) if said else ("left out" not in told)
    line = call("validate", "c.toml", "--data", "--json").stdout.split("\n")[0]
    dropped = number if unlisted == "drop" else 0
    assert json.loads(line)["members"]["a"]["dropped"] == dropped


def test_one_of_a_thing_is_no_plural():
    """Two or more are counted with an s; a count of one never is, in all of src."""
    noun = "row|label|run|seed|epoch|value|column|file|class|output|id|step|cell|count"
    plural = re.compile(rf"\{{[^{{}}]*\}} (?:[a-z]+ )?(?:{noun})(?:s|es)\b")
    # Numbers that are two at the least, and ranges; by file, and how often.
    known = {
        "label_encoding.py": 1,  # Only where there are more than twenty.
    }
    found = {}
    for path in Path(coloss.__file__).parent.rglob("*.py"):
        lines = [m.group() for m in plural.finditer(path.read_text("utf-8"))]
        lines = [line for line in lines if re.search(r"len\(|\.size|\.sum\(", line)]
        if lines:
            found[path.name] = len(lines)
    assert found == known


@pytest.mark.parametrize(
    ("optimizer", "rate", "number"),
    [
        *[("adam", 1.0, 1), ("adam", 0.5, 0), ("sgd", 1.0, 0), ("sgd", 1e6, 1)],
        *[("lion", 2.0, 1), ("adagrad", 1.0, 0), ("rmsprop", 1e6, 1)],
    ],
)
def test_rates_that_are_doubted(optimizer, rate, number):
    text = TEXT.replace("{data}", "").replace("{member}", f"learning_rate = {rate}")
    text = text.replace("{training}", f'optimizer = "{optimizer}"')
    assert len(list(rates(parse(text, "c")))) == number


@pytest.mark.parametrize("place", ["a.csv/run", "/proc/none/run", "run" + 300 * "x"])
def test_a_folder_that_cannot_be_made_is_one_sentence(folder, place):
    said = call("train", "c.toml", "--output", place, code=2).stderr
    assert "not foreseen" not in said and "cannot be" in said


# In a process of its own: what Python has imported cannot be taken back without harm.
WITHOUT = """\
import importlib.abc, sys

class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "{backend}":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
from coloss.cli import main
sys.argv = ["coloss", "train", "c.toml"]
main()
"""


@pytest.mark.parametrize("backend", ["torch", "tensorflow", "jax"])
def test_a_backend_that_is_not_installed_is_one_sentence(folder, backend):
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(backend=backend)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2, found
    said = " ".join(found.stderr.split())
    assert f"KERAS_BACKEND asks for '{backend}', which is not installed" in said
    assert f"coloss[{backend}]" in said and "Traceback" not in said


def test_a_backend_that_does_not_exist_is_one_sentence(folder, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "pytorch")
    said = call("train", "c.toml", code=2).stderr
    assert "KERAS_BACKEND is 'pytorch'; did you mean 'torch'?" in said
