"""Classes and ids called None, NA, null or nan were read as missing.

Sources: pandas-dev/pandas#10647 ("Default behavior of read_csv for data values of NA
and NaN"), pandas-dev/pandas#32084 ("Pandas misinterprets the string 'null' in a text
file as a float"), chanzuckerberg/cellxgene#1115 ("disable magical nan parsing in
back-end CSV handler").

What is right is the list of texts that the file was written from.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather
from pyarrow import parquet as pq

from coloss.data.label_encoding import class_codes, numbers
from coloss.data.readers import column_as_text, read_features, read_table

WORDS = ["None", "NA", "N/A", "n/a", "null", "NULL", "nan", "NaN", "<NA>", "-", "nil"]
KINDS = ["csv", "tsv", "arff", "parquet", "feather"]


def write(path, labels):
    ids = [f"r{n}" for n in range(len(labels))]
    if path.suffix in (".csv", ".tsv", ".arff"):
        sign = "\t" if path.suffix == ".tsv" else ","
        cells = [[i, v or ""] for i, v in zip(ids, labels, strict=True)]
        lines = [sign.join(["id", "label"])]
        if path.suffix == ".arff":
            lines = ["@relation r", "@attribute id string", "@attribute label string"]
            lines += ["@data"]
            cells = [[i, v or "?"] for i, v in cells]
        path.write_text("\n".join([*lines, *(sign.join(row) for row in cells)]))
        return
    table = pa.table({"id": ids, "label": pa.array(labels, pa.string())})
    (pq.write_table if path.suffix == ".parquet" else feather.write_feather)(
        table, path
    )


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_word_is_a_class(tmp_path, kind, word):
    path = tmp_path / f"labels.{kind}"
    labels = [word, "mild", "severe", None] * 5
    write(path, labels)
    found = column_as_text(read_table(path, ("id", "label")), "label", path)
    assert found == labels
    codes, classes = class_codes(found)
    assert classes == sorted([word, "mild", "severe"])
    right = [-1 if v is None else classes.index(v) for v in labels]
    np.testing.assert_array_equal(codes, right)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_word_is_an_id(tmp_path, kind, word):
    path = tmp_path / f"a.{kind}"
    ids = [word, "007", "1e5"]
    if kind in ("parquet", "feather"):
        table = pa.table({"id": ids, "x": [1.0, 2.0, 3.0]})
        (pq.write_table if kind == "parquet" else feather.write_feather)(table, path)
    else:
        sign = "\t" if kind == "tsv" else ","
        head = f"id{sign}x\n"
        if kind == "arff":
            head = "@attribute id string\n@attribute x numeric\n@data\n"
        rows = [f"{key}{sign}{n + 1}.0\n" for n, key in enumerate(ids)]
        path.write_text(head + "".join(rows))
    found = read_features(path, id="id")
    assert found.ids == ids
    np.testing.assert_array_equal(found.values, [[1], [2], [3]])


@pytest.mark.parametrize("word", ["", "?", *WORDS[:9]])
def test_in_a_column_of_numbers_the_same_words_are_no_value(tmp_path, word):
    path = tmp_path / "a.csv"
    path.write_text(f"id,x,y\na,1.5,2\nb,{word},3\n")
    found = read_features(path, id="id")
    np.testing.assert_array_equal(found.values, [[1.5, 2], [np.nan, 3]])
    if word and word != "?":
        np.testing.assert_array_equal(numbers(["1.5", word], ["a", "b"]), [1.5, np.nan])


@pytest.mark.parametrize("cell", ["", "?", " ", " ? ", '""'])
def test_an_empty_cell_and_a_question_mark_are_no_label(tmp_path, cell):
    path = tmp_path / "labels.csv"
    path.write_text(f"id,label\na,calm\nb,{cell}\n")
    table = read_table(path, ("id", "label"))
    assert column_as_text(table, "label", path) == ["calm", None]
