"""Feature files of every kind: the same ids and numbers come out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather
from pyarrow import parquet as pq

from coloss.data.readers import DataError, read_features, read_ids

IDS = ["007", "b", "a"]
VALUES = np.array([[1, 2.5], [-3, np.nan], [np.nan, np.nan]], "float32")


def as_table(ids=IDS):
    return pa.table(
        {
            "row": ids,
            "F0": [1, -3, None],
            "text": ["x", "y", None],
            "jitter": [2.5, None, None],
        }
    )


def write(folder, kind):
    path = folder / f"features.{kind}"
    if kind == "csv":
        path.write_text("row,F0,text,jitter\n007,1,x,2.5\nb,-3,y,\na,NA,,?\n")
    elif kind == "tsv":
        path.write_text("row\tF0\ttext\tjitter\n007\t1\tx\t2.5\nb\t-3\ty\t\na\t\t\t\n")
    elif kind == "arff":
        path.write_text(
            "@relation openSMILE\n\n@attribute row string\n@attribute F0 numeric\n"
            "@attribute 'text' string\n@attribute jitter real\n\n@data\n% comment\n"
            "'007',1,'x',2.5\n\n'b',-3,y,?\n'a',?,?,?\n"
        )
    elif kind == "parquet":
        pq.write_table(as_table(), path)
    elif kind == "feather":
        feather.write_feather(as_table(), path)
    elif kind == "arrow":
        with pa.ipc.new_stream(path, as_table().schema) as stream:
            stream.write_table(as_table())
    elif kind == "npz":
        np.savez(path, features=VALUES, row=np.array(IDS))
    elif kind == "npy":
        np.save(path, VALUES)
        np.save(folder / "ids.npy", np.array(IDS))
    return path


@pytest.mark.parametrize(
    "kind", ["csv", "tsv", "arff", "parquet", "feather", "arrow", "npz", "npy"]
)
def test_every_format(tmp_path, kind):
    path = write(tmp_path, kind)
    ids = tmp_path / "ids.npy" if kind == "npy" else None
    found = read_features(path, id="row", ids=ids)
    assert found.ids == IDS
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, VALUES)
    if not kind.startswith("np"):
        assert found.names == ["F0", "jitter"]
        assert [column.name for column in found.left_out] == ["text"]


def test_opensmile_csv_and_wide_lines(tmp_path):
    path, width = tmp_path / "smile.csv", 6373
    names = [f"F{n}" for n in range(width)]
    numbers = np.random.default_rng(0).normal(size=(3, width))
    lines = [";".join(["name", "frameTime", *names])]
    lines += [
        ";".join([f"'file_{n}.wav'", "0.0", *map(repr, row.tolist())])
        for n, row in enumerate(numbers)
    ]
    path.write_text("\n".join(lines))
    found = read_features(path, id="name", columns=["*", "!frameTime"])
    assert found.ids == ["file_0.wav", "file_1.wav", "file_2.wav"]
    np.testing.assert_array_equal(found.values, numbers.astype("float32"))


def test_lists_in_a_column_are_columns(tmp_path):
    path = tmp_path / "bert.parquet"
    pq.write_table(pa.table({"id": [3, 1], "bert": [[1.0, 2.0], None]}), path)
    found = read_features(path, id="id")
    assert found.ids == ["3", "1"]
    assert found.names == ["bert[0]", "bert[1]"]
    np.testing.assert_array_equal(found.values, [[1, 2], [np.nan, np.nan]])


def test_whole_numbers_as_ids_are_the_same_with_gaps(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": pa.array([2.0, 10.0]), "x": [1.0, 2.0]}), path)
    assert read_features(path, id="id").ids == ["2", "10"]


def test_patterns_choose_columns(tmp_path):
    path = write(tmp_path, "csv")
    assert read_features(path, id="row", columns=["F*"]).names == ["F0"]
    assert read_features(path, id="row", columns=["!j*"]).names == ["F0"]
    assert read_features(path, reserved=["row", "F0"]).names == ["jitter"]


def test_ids_one_a_line(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("a\n'b'\n")
    assert read_ids(path, None) == ["a", "b"]


def test_ids_in_an_archive_by_another_name_are_refused(tmp_path):
    path = tmp_path / "ids.npy"
    with path.open("wb") as file:
        np.savez(file, ids=np.array(["a", "b"]))
    with pytest.raises(DataError, match="holds arrays by name"):
        read_ids(path, None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,x\nu,1\nu,2\n", "1 id more than once: 'u'"),
        ("a.csv", "id,x\n,1\nu,2\n", "1 row without an id (row 0"),
        ("a.csv", "id,x,x\nu,1,2\n", "columns of the same name: 'x'"),
        ("a.csv", "id,x\n", "has no rows"),
        ("a.csv", "", "no header line"),
        ("a.csv", "idd,x\nu,1\n", "no column 'id'; did you mean 'idd'?"),
        ("a.csv", "id,x\nu,1,2\n", "cannot be read: CSV parse error: Expected 2"),
        ("a.csv", "id,x\nu,1\nv,one\n", "no column of numbers among its features"),
        ("a.csv", "id,x\nu,1e999\n", "infinite, or too large for float32"),
        ("a.csv", "id,x\nu,1e39\n", "row 0, column 'x'"),
        ("a.csv", b"id,x\nu\xff,1\n\xe9,2", "is no UTF-8 text"),
        ("a.csv", b"id,x\xff\nu,1\n", "is no UTF-8 text"),
        ("a.arff", "@relation x\n", "no line @data"),
        ("a.arff", "@attribute id string\n@data\n{0 1}\n", "sparse"),
        ("a.arff", "@attribute id string\n@data\n", "has no rows"),
        ("a.parquet", "id,x\n", "cannot be read"),
        ("a.xlsx", "", "has the suffix '.xlsx'; expected one of .csv"),
        ("a.npy", "1,2", "is no file of NumPy"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read_features(path, id="id")
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x": np.zeros(3)}, {}, "has 0 arrays of features"),
        ({"x": np.zeros((3, 2)), "y": np.zeros((3, 2))}, {}, "has 2 arrays"),
        ({"x": np.zeros((3, 2))}, {"array": "xx"}, "no array 'xx'; did you mean 'x'"),
        ({"x": np.zeros((3, 2))}, {"id": "id"}, "has no ids to join by 'id'"),
        ({"x": np.zeros((3, 2)), "id": np.arange(2)}, {"id": "id"}, "3 rows and 2 ids"),
        ({"x": np.zeros((3, 2))}, {"columns": ["x"]}, "has no `columns`"),
        ({"x": np.array([[object()]])}, {}, "Python objects"),
    ],
)
def test_what_is_wrong_with_arrays_is_named(tmp_path, arrays, options, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_features(tmp_path / "a.npz", **options)


def test_a_missing_file_and_options_of_arrays(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_features(tmp_path / "none.csv")
    with pytest.raises(DataError, match="does not exist"):
        read_features(tmp_path / "none.npy")
    path = write(tmp_path, "csv")
    with pytest.raises(DataError, match="`array` is for NPY"):
        read_features(path, array="x")
    with pytest.raises(
        DataError, match="no column that fits 'Jitter'; did you mean 'jitter'"
    ):
        read_features(path, columns=["Jitter"])
    with pytest.raises(DataError, match="column 'text' holds string, no numbers"):
        read_features(path, columns=["F0", "text"])
