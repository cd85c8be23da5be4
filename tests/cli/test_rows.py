"""Files of different rows, in different orders, become one set of rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from coloss.cli.config import parse
from coloss.cli.runs.rows import read_rows
from coloss.data.filling import filled, means_of
from coloss.data.readers import DataError

LABELS = "id,y,part,who\na,1,train,p\nb,2,dev,q\nc,?,train,p\nd,2,TEST,r\ne,2,train,p\n"
BASE = '[data]\nlabels = "labels.csv"\nid = "id"\nlabel = "y"\nsplit = "part"\n'
TWO = '[members.one]\ndata = "one.csv"\n[members.two]\ndata = "two.npz"\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labels.csv").write_text(LABELS)
    (tmp_path / "one.csv").write_text(
        "id,f,g\nd,4,40\na,1,10\nc,3,30\ne,5,50\nb,2,20\n"
    )
    ids = np.array(["e", "b", "a"])
    np.savez(tmp_path / "two.npz", id=ids, x=np.array([[5.0], [2.0], [1.0]]))
    return tmp_path


def read(folder, text=BASE + TWO):
    return read_rows(parse(text, "c.toml"), folder)


def test_rows_are_joined_by_id(folder):
    rows = read(folder)
    assert rows.ids == list("abcde")
    np.testing.assert_array_equal(rows.x["one"][:, 1], [10, 20, 30, 40, 50])
    np.testing.assert_array_equal(rows.x["two"].ravel(), [1, 2, np.nan, np.nan, 5])
    assert rows.y.tolist() == [0, 1, -1, 1, 1] and rows.classes == ["1", "2"]
    assert rows.parts.tolist() == ["train", "validation", "train", "test", "train"]
    assert rows.sources["one"].names == ["f", "g"]
    x, y = rows.part("train")
    assert y.tolist() == [0, -1, 1] and x["one"][:, 0].tolist() == [1, 3, 5]


def test_classes_have_the_order_that_is_given_or_that_of_numbers(folder):
    text = BASE + "classes = [2, 1]\n" + TWO
    assert read(folder, text).y.tolist() == [1, 0, -1, 0, 0]
    labels = LABELS.replace("a,1", "a,9").replace("e,2", "e,10")
    (folder / "labels.csv").write_text(labels)
    assert read(folder).classes == ["2", "9", "10"]


def test_numbers_to_predict(folder):
    rows = read(folder, BASE + 'task = "regression"\n' + TWO)
    np.testing.assert_array_equal(rows.y, [1, 2, np.nan, 2, 2])
    assert rows.classes is None


@pytest.mark.parametrize(
    ("way", "rows"), [("unlabeled", 6), ("unlabelled", 6), ("drop", 5)]
)
def test_ids_without_a_label_row(folder, way, rows):
    text = (folder / "one.csv").read_text() + "new,6,60\n"
    (folder / "one.csv").write_text(text)
    found = read(folder, BASE + f'unlisted = "{way}"\n' + TWO)
    assert len(found.ids) == rows
    if rows == 6:
        assert (found.ids[5], found.y[5], found.parts[5]) == ("new", -1, "train")


def test_one_table_and_patterns(tmp_path):
    columns = {f"a_{n}": np.arange(40.0) + n for n in range(3)}
    columns |= {"b_0": [None, *range(1, 40)], "y": ["u", "v"] * 20}
    pq.write_table(pa.table(columns), tmp_path / "all.parquet")
    text = (
        '[data]\ntable = "all.parquet"\nlabel = "y"\n'
        '[members.a]\ncolumns = ["a_*", "!a_1"]\n[members.b]\ncolumns = ["b_*"]\n'
    )
    rows = read(tmp_path, text)
    assert rows.x["a"].shape == (40, 2) and rows.ids[:2] == ["0", "1"]
    assert np.isnan(rows.x["b"][0, 0])
    assert [int((rows.parts == p).sum()) for p in ("train", "validation", "test")] == [
        28,
        6,
        6,
    ]
    again = rows.with_parts(parse(text, "c.toml"), 7)
    assert (again.parts != rows.parts).any() and again.x is rows.x


def test_rows_without_ids_must_be_as_many(folder):
    text = BASE.replace('id = "id"\n', "") + TWO
    with pytest.raises(
        DataError, match=r"members\.two: its file has 3 rows, the labels 5"
    ):
        read(folder, text)


def test_gaps_are_filled_with_means_of_training_rows_and_whole_rows_stay(folder):
    values = np.array([[1, np.nan], [np.nan, np.nan], [3, 4]], "float32")
    means = means_of(values)
    np.testing.assert_array_equal(means, [2, 4])
    expected = [[1, 4], [np.nan, np.nan], [3, 4]]
    np.testing.assert_array_equal(filled(values, means), expected)
    (folder / "one.csv").write_text("id,f,g\na,1,10\nb,2,\nc,3,30\nd,4,40\ne,5,50\n")
    text = BASE + TWO.replace('one.csv"\n', 'one.csv"\nfill = "mean"\n')
    rows = read(folder, text)
    assert rows.x["one"][1].tolist() == [2, 30]
    assert rows.fills["one"].tolist() == [3, 30]


def test_groups_come_with_the_labels(folder):
    (folder / "labels.csv").write_text(
        "id,y,who\n" + "".join(f"r{n},{n % 2},g{n // 4}\n" for n in range(60))
    )
    (folder / "one.csv").write_text(
        "id,f\n" + "".join(f"r{n},{n}\n" for n in reversed(range(60)))
    )
    text = (
        '[data]\nlabels = "labels.csv"\nid = "id"\nlabel = "y"\ngroup = "who"\n'
        '[members.one]\ndata = "one.csv"\n'
    )
    rows = read(folder, text)
    by_group = {g: set() for g in rows.groups}
    for group, part in zip(rows.groups, rows.parts.tolist(), strict=True):
        by_group[group].add(part)
    assert all(len(parts) == 1 for parts in by_group.values())
    assert dataclasses.replace(rows, x={}).part("test")[1].size > 0
