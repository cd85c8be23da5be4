"""Columns of numbers with decimal commas or separated thousands were taken for text.

Sources: pola-rs/polars#18797 ("Parse large floats in CSVs that have periods as the
thousands separator"), tidyverse/readr#799 ("Option for thousands separator in
read_csv()"), pola-rs/polars#6698 ("Add a decimal parameter to read_csv / scan_csv").

What is right are the numbers that were written, as NumPy has them.
"""

from __future__ import annotations

import numpy as np
import pytest

from coloss.data.readers import DataError, read_features, told_left_out

NBSP, THIN, APOSTROPHE = "\u00a0", "\u202f", "\u2019"
READ = {
    "decimal comma": (["1,5", "-0,25", "3"], [1.5, -0.25, 3]),
    "decimal comma, three digits": (["0,125", "12,5", "0,250"], [0.125, 12.5, 0.25]),
    "decimal comma, exponent": (["1,5e-3", "2,25E2", "1"], [0.0015, 225, 1]),
    "points between thousands": (
        ["1.299,99", "12,5", "3.000.000,5"],
        [1299.99, 12.5, 3000000.5],
    ),
    "many points": (["1.234.567", "2.345.678", "3"], [1234567, 2345678, 3]),
    "commas between thousands": (["1,299.99", "12.5", "1,000"], [1299.99, 12.5, 1000]),
    "many commas": (["1,234,567", "2,345,678", "3"], [1234567, 2345678, 3]),
    "spaces": (["1 234", "12 345 678", "5"], [1234, 12345678, 5]),
    "no-break spaces": ([f"1{NBSP}234,5", "2,5", f"3{THIN}000"], [1234.5, 2.5, 3000]),
    "apostrophes": (["1'234.5", f"2{APOSTROPHE}000", "3"], [1234.5, 2000, 3]),
    "signs": (["+1,5", "-1,5", ",5"], [1.5, -1.5, 0.5]),
    "spaces around": ([" 1,5 ", "2,5 ", " 3"], [1.5, 2.5, 3]),
    "gaps": (["1,5", "NA", "?"], [1.5, np.nan, np.nan]),
    "plain": (["1.5", "2.25", "1e3"], [1.5, 2.25, 1000]),
}
LEFT_OUT = {
    "two ways": (["1,234", "2,500", "3"], "can be read in two ways"),
    "two ways, points": (["1.234", "2.500", "3.000"], "can be read in two ways"),
    "both signs": (["1,5", "2.5", "3"], "others with decimal commas"),
    "one word": (["1,5", "2,5", "n.a."], "in 1 of 3 rows, first 'n.a.' (row 2"),
    "words": (["calm", "loud", "1,5"], "such as 'calm'"),
    "percent": (["10%", "20%", "30%"], "such as '10%'"),
    "addresses": (["10.0.0.1", "10.0.0.2", "10.0.0.3"], "holds text"),
    "days": (["01.02.2020", "02.02.2020", "03.02.2020"], "holds text"),
    "wrong groups": (["1,23,4", "1,5,6", "7"], "holds text"),
}


def write(path, cells, sign, first="0,5"):
    rows = [f'r{n}{sign}"{cell}"{sign}"{first}"' for n, cell in enumerate(cells)]
    path.write_text("\n".join([f"id{sign}x{sign}anchor", *rows]), encoding="utf-8")


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("kind", list(READ))
def test_numbers_are_read(tmp_path, kind, sign):
    cells, right = READ[kind]
    path = tmp_path / "a.csv"
    write(path, cells, sign, "1.5" if kind == "plain" else "7")
    found = read_features(path, id="id")
    assert found.names == ["x", "anchor"] and not found.left_out
    np.testing.assert_array_equal(found.values[:, 0], np.array(right, "float32"))


@pytest.mark.parametrize("kind", list(LEFT_OUT))
def test_others_are_named_with_the_mend(tmp_path, kind):
    cells, reason = LEFT_OUT[kind]
    path = tmp_path / "a.csv"
    write(path, cells, ";")
    found = read_features(path, id="id")
    assert found.names == ["anchor"]
    np.testing.assert_array_equal(found.values, np.full((3, 1), 0.5))
    (sentence,) = told_left_out(found.left_out)
    assert sentence.startswith("left out 'x': ") and reason in sentence
    if "two ways" in reason:
        assert "write them with a decimal point" in sentence
    with pytest.raises(DataError, match="column 'x' holds"):
        read_features(path, id="id", columns=["x"])


def test_in_a_file_without_decimal_commas_a_point_is_one(tmp_path):
    path = tmp_path / "a.csv"
    write(path, ["1.234", "2.500", "3.000"], ",", "7")
    found = read_features(path, id="id")
    np.testing.assert_array_equal(found.values[:, 0], np.float32([1.234, 2.5, 3]))


def test_without_a_header_and_without_quotes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,5;2,25;a\n3,5;4,75;b\n")
    found = read_features(path, header=False)
    np.testing.assert_array_equal(found.values, [[1.5, 2.25], [3.5, 4.75]])


@pytest.mark.parametrize("kind", list(READ))
def test_ids_and_labels_stay_as_they_are(tmp_path, kind):
    cells, _ = READ[kind]
    path = tmp_path / "a.csv"
    write(path, cells, ";")
    if "NA" in cells:
        cells = [*cells[:2], "q"]
        write(path, cells, ";")
    assert read_features(path, id="x").ids == [cell.strip() for cell in cells]
