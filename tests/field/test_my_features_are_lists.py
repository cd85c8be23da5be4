"""Lists of lists in Parquet, ids as bytes, ids written differently, very wide tables.

Sources: NVIDIA/cudf#12053 ("Best way to know the original shape of a column whose cell
values are list"), intel/ipex-llm#7495 ("Spark DataFrame to Pandas RDD with arrow better
support nested lists"); ids and wide tables: found by trying.

What is right is the array that the file was made of.
"""

from __future__ import annotations

import decimal
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather
from pyarrow import parquet as pq

from coloss.data.readers import DataError, choose_columns, id_difference, read_features

random = np.random.default_rng(2)
ROWS = 7
CUBE = random.normal(size=(ROWS, 3, 4)).astype("float32")


def nested(kind):
    if kind == "lists":
        return pa.array(CUBE.tolist())
    if kind == "large lists":
        return pa.array(CUBE.tolist(), pa.large_list(pa.large_list(pa.float64())))
    if kind == "fixed lists":
        return pa.array(CUBE.tolist(), pa.list_(pa.list_(pa.float32(), 4), 3))
    if kind == "fixed in lists":
        return pa.array(CUBE.tolist(), pa.list_(pa.list_(pa.float32(), 4)))
    return pa.chunked_array([CUBE[:2].tolist(), CUBE[2:].tolist()])


@pytest.mark.parametrize("write", [pq.write_table, feather.write_feather])
@pytest.mark.parametrize(
    "kind", ["lists", "large lists", "fixed lists", "fixed in lists", "chunks"]
)
def test_lists_of_lists_are_an_array(tmp_path, kind, write):
    suffix = "parquet" if write is pq.write_table else "feather"
    path = tmp_path / f"a.{suffix}"
    ids = [f"r{n}" for n in range(ROWS)]
    write(pa.table({"id": ids, "frames": nested(kind)}), path)
    found = read_features(path, id="id")
    assert found.ids == ids and found.names == []
    np.testing.assert_array_equal(found.values, CUBE)


def test_missing_lists_and_values_are_nan(tmp_path):
    cells = CUBE.astype("float64").tolist()
    right = CUBE.copy()
    cells[1], right[1] = None, np.nan
    cells[2][0], right[2, 0] = None, np.nan
    cells[3][1][2], right[3, 1, 2] = None, np.nan
    pq.write_table(pa.table({"frames": cells}), path := tmp_path / "a.parquet")
    np.testing.assert_array_equal(read_features(path).values, right)


def test_deeper_lists(tmp_path):
    deep = random.normal(size=(ROWS, 2, 3, 2)).astype("float32")
    pq.write_table(pa.table({"maps": deep.tolist()}), path := tmp_path / "a.parquet")
    np.testing.assert_array_equal(read_features(path).values, deep)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([[1.0, 2.0], [1.0]], "lists of different lengths (1 to 2)"),
        ([[[1.0], [2.0]], [[1.0]]], "lists of different lengths (1 to 2)"),
        ([[[1.0], [2.0, 3.0]]], "lists of different lengths (1 to 2)"),
        ([[], []], "lists of no entries"),
        ([None, [[None, None]]], ""),
    ],
)
def test_other_lists_are_told(tmp_path, cells, message):
    kind = pa.list_(pa.list_(pa.float64())) if message == "" else None
    pq.write_table(
        pa.table({"x": pa.array(cells, kind)}), path := tmp_path / "a.parquet"
    )
    with pytest.raises(DataError) as caught:
        read_features(path)
    assert message in str(caught.value)


def test_lists_of_lists_do_not_stand_beside_others(tmp_path):
    table = pa.table({"frames": CUBE.tolist(), "f0": CUBE[:, 0, 0]})
    pq.write_table(table, path := tmp_path / "a.parquet")
    with pytest.raises(DataError, match="cannot stand beside 'f0'"):
        read_features(path)
    found = read_features(path, columns=["frames"])
    np.testing.assert_array_equal(found.values, CUBE)


@pytest.mark.parametrize("kind", ["float16", "int8", "uint64", "bool", "decimal"])
def test_every_kind_of_number(tmp_path, kind):
    values = np.array([0, 1, 1, 0])
    if kind == "decimal":
        column = pa.array([decimal.Decimal(int(v)) / 4 for v in values])
        values = values / 4
    else:
        column = pa.array(values.astype(kind))
    pq.write_table(pa.table({"x": column}), path := tmp_path / "a.parquet")
    np.testing.assert_array_equal(read_features(path).values[:, 0], values)


@pytest.mark.parametrize("kind", ["bytes", "text", "numbers", "column", "objects"])
def test_ids_in_npz(tmp_path, kind):
    texts = ["a1", "b\u00e9", "007"]
    ids = {
        "bytes": np.array([text.encode() for text in texts]),
        "text": np.array(texts),
        "numbers": np.array([3, 1, 2]),
        "column": np.array(texts)[:, None],
        "objects": np.array(texts, object),
    }[kind]
    np.savez(path := tmp_path / "a.npz", x=np.ones((3, 2)), id=ids)
    if kind == "objects":
        with pytest.raises(DataError, match="Python objects"):
            read_features(path, id="id")
        return
    right = ["3", "1", "2"] if kind == "numbers" else texts
    assert read_features(path, id="id").ids == right


@pytest.mark.parametrize("write", [pq.write_table, feather.write_feather])
def test_ids_as_bytes_in_columns(tmp_path, write):
    path = tmp_path / ("a.parquet" if write is pq.write_table else "a.feather")
    write(pa.table({"id": [b"a1", b"b2"], "x": [1.0, 2.0]}), path)
    assert read_features(path, id="id").ids == ["a1", "b2"]


PLAIN = [f"clip_{n}_a" for n in range(80)]
SPELLINGS = {
    "case": ([text.upper() for text in PLAIN], "letters"),
    "ending": ([f"{text}.wav" for text in PLAIN], "ending"),
    "folder": ([f"data/wav/{text}" for text in PLAIN], "folder"),
    "folder of Windows": ([f"D:\\wav\\{text}" for text in PLAIN], "folder"),
    "zeros": ([f"clip_{n:04d}_a" for n in range(80)], "zeros"),
    "signs": ([text.replace("_", "-") for text in PLAIN], "signs"),
    "quotes": ([f'"{text}"' for text in PLAIN], "quotes"),
    "several": ([f"/x/{text.upper()}.WAV" for text in PLAIN], "folder"),
}


@pytest.mark.parametrize("kind", list(SPELLINGS))
def test_ids_that_are_written_differently(kind):
    ids, how = SPELLINGS[kind]
    for ours, theirs in ((ids, PLAIN), (PLAIN, ids)):
        found = id_difference(ours, theirs)
        assert found.number == 80 and how in found.how
        assert found.example == (ours[0], theirs[0])
        assert "written differently" in str(found)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (PLAIN, PLAIN),
        (["x", "y"], PLAIN),
        (["A", "a"], ["a ", "b"]),
        (["1.5", "1.25"], ["1", "2"]),
        ([], PLAIN),
    ],
)
def test_ids_that_are_others_are_none(ours, theirs):
    found = id_difference(ours, theirs)
    assert found is None or found.number < len(ours)


def test_twenty_thousand_columns_are_chosen_in_one_pass():
    names = [f"F{n}" for n in range(20000)]
    schema = pa.schema([(name, pa.float32()) for name in names])
    start = time.process_time()
    for patterns in (None, names, ["F1*", "!F19*"]):
        chosen, left_out = choose_columns(schema, names, patterns, "a.parquet")
        assert not left_out
    assert len(chosen) == 1 + 10 + 100 + 1000 + 10000 - (1 + 10 + 100 + 1000)
    # It took 20 seconds and more, each.
    assert time.process_time() - start < 5
    assert pd.Index(chosen).is_unique
