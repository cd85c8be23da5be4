"""A table was opened in a spreadsheet, and a cell of it was run as a formula.

Reported as hhurz/tableExport.jquery.plugin#230 ("Formula Injection"), where the mend
then also changed negative numbers; described by OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from coloss.cli.spreadsheet import write_table

FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+SUM(A1)",
    "-2+3",
    "@SUM(1,1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\uff1d1+1",
    "--1",
    "-",
    "+",
    "-clip_1",
    "=",
    "-1e",
]
HARMLESS = ["clip_1", "a=b", "1-2", "", "'x", "a@b.c", "-1", "+1", "-1.5e-3", "-.5"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_a_formula(text, tmp_path):
    frame = pd.DataFrame({"id": [text, "b"], "predicted": ["x", text], text: [1, 2]})
    assert write_table(frame, tmp_path / "p.csv") == 3
    with (tmp_path / "p.csv").open(newline="") as file:
        head, first, second = csv.reader(file)
    for cell in (head[2], first[0], second[1]):
        assert cell == f"'{text}"
    write_table(frame, tmp_path / "p.parquet")
    assert pd.read_parquet(tmp_path / "p.parquet").equals(frame)


@pytest.mark.parametrize("text", ["a;=1+1", 'a";"=1', "a\t=1", "a\r=1"])
def test_a_text_is_one_cell_wherever_it_is_opened(text, tmp_path):
    write_table(pd.DataFrame({"id": [text, "b"]}), tmp_path / "p.csv")
    for delimiter in ",;\t":
        with (tmp_path / "p.csv").open(newline="") as file:
            assert list(csv.reader(file, delimiter=delimiter))[1] == [text]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_none_stays_as_it_is(text, tmp_path):
    frame = pd.DataFrame({"id": [text]})
    assert write_table(frame, tmp_path / "p.csv") == 0
    with (tmp_path / "p.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == ([text] if text else [""])


@pytest.mark.parametrize("dtype", ["int64", "int8", "float32", "float64"])
def test_numbers_stay_numbers(dtype, tmp_path):
    values = np.array([-1, 0, 2], dtype)
    frame = pd.DataFrame({"id": ["a", "b", "c"], "predicted": values})
    frame["maybe"] = pd.Series([-1.5, None, 2.0], dtype=object)
    assert write_table(frame, tmp_path / "p.csv") == 0
    found = pd.read_csv(tmp_path / "p.csv")
    np.testing.assert_array_equal(found["predicted"], values)
    np.testing.assert_array_equal(found["maybe"], [-1.5, np.nan, 2.0])
