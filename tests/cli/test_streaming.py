"""A file that is read in parts gives what the same file gives in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from coloss.cli.config import parse
from coloss.cli.runs.in_memory import InMemory
from coloss.cli.runs.rows import read_rows
from coloss.cli.runs.streaming import Streamed
from coloss.data import row_groups
from coloss.data.readers import DataError
from coloss.data.standardizing import RunningStandardizer
from coloss.data.streamed_batches import StreamedBatches

CONFIG = """\
[data]
table = "all.parquet"
id = "id"
label = "y"
{more}
[members.a]
columns = ["a_*"]
[members.b]
columns = ["b_*", "e"]
"""


def write(folder, rows=203, group=40):
    random = np.random.default_rng(0)
    columns = {"id": [f"r{n}" for n in range(rows)]}
    columns |= {f"a_{n}": 1e4 + random.normal(size=rows) for n in range(3)}
    gone = np.arange(rows) % 9 == 4
    b = np.where(gone, np.nan, random.normal(size=rows))
    columns |= {"b_0": b, "b_1": np.where(gone, np.nan, 7.0)}
    columns["e"] = [None if g else [1.0 * n, n % 5] for n, g in enumerate(gone)]
    columns["y"] = [None if n % 6 == 0 else "uvw"[n % 3] for n in range(rows)]
    table = pa.table(columns)
    pq.write_table(table, folder / "all.parquet", row_group_size=group)


@pytest.fixture
def both(tmp_path):
    write(tmp_path)
    streamed = Streamed(parse(CONFIG.format(more="stream = true"), "c"), tmp_path)
    plain = parse(CONFIG.format(more=""), "c")
    return streamed, InMemory(plain, read_rows(plain, tmp_path))


def batches_of(streamed, part, size, seed):
    chosen = streamed.parts == part
    complete = streamed.complete
    return StreamedBatches(streamed.groups, streamed.y, chosen, size, seed, complete)


def test_shapes_spreads_and_what_is_told_are_the_same(both):
    streamed, memory = both
    assert streamed.shapes == memory.shapes == {"a": (3,), "b": (4,)}
    assert streamed.describe() == memory.describe()
    assert streamed.columns() == memory.columns()
    for name, spread in memory.standardizers().items():
        np.testing.assert_allclose(streamed.standardizers()[name].mean, spread.mean)
        np.testing.assert_allclose(
            streamed.standardizers()[name].variance, spread.variance, rtol=1e-6
        )


def test_every_row_comes_once_an_epoch_and_in_another_order(both, monkeypatch):
    streamed, memory = both
    monkeypatch.setattr(
        "coloss.data.streamed_batches.WINDOW", 2 * streamed.groups.bytes
    )
    batches = batches_of(streamed, "train", 32, seed=3)
    assert batches.complete.inputs == {"a"}
    x, y = memory.rows.part("train")
    orders = []
    for _ in range(2):
        batches.on_epoch_begin()
        found = [batches[n] for n in range(len(batches))]
        assert [len(labels) for _, labels in found[:-1]] == [32] * (len(found) - 1)
        a = np.concatenate([batch["a"] for batch, _ in found])
        order = np.lexsort(a.T)
        expected = np.lexsort(x["a"].T)
        np.testing.assert_array_equal(a[order], x["a"][expected])
        b = np.concatenate([batch["b"] for batch, _ in found])
        np.testing.assert_array_equal(b[order], x["b"][expected])
        labels = np.concatenate([labels for _, labels in found])
        np.testing.assert_array_equal(labels[order], y[expected])
        orders.append(a[:, 0])
    assert (orders[0] != orders[1]).any()
    again = batches_of(streamed, "train", 32, seed=3)
    np.testing.assert_array_equal(again[1][0]["a"][:, 0], orders[0][32:64])


def test_validation_rows_and_pieces_keep_the_order_of_the_file(both, monkeypatch):
    streamed, memory = both
    monkeypatch.setattr("coloss.cli.runs.streaming.PIECE", 10)
    batches = batches_of(streamed, "validation", 8, seed=None)
    x, _ = memory.rows.part("validation")
    a = np.concatenate([batches[n][0]["a"] for n in range(len(batches))])
    np.testing.assert_array_equal(a, x["a"])
    pieces = list(streamed.pieces())
    assert {len(piece.ids) for piece in pieces[:-2]} == {10}
    for whole in memory.pieces():
        own = [piece for piece in pieces if piece.part == whole.part]
        assert [key for piece in own for key in piece.ids] == whole.ids
        for name, values in whole.x.items():
            found = np.concatenate([piece.x[name] for piece in own])
            np.testing.assert_array_equal(found, values)
    sample_x, sample_y = streamed.sample()
    assert len(sample_y) == len(sample_x["a"]) and (sample_y >= 0).all()


def test_every_row_group_is_read_once_an_epoch(both, monkeypatch):
    streamed, _ = both
    arguments = streamed.fit_arguments(32, seed=0)
    # Keras shuffles batches otherwise, and each would be read from all over the file.
    assert arguments["shuffle"] is False
    read, numbers = streamed.groups.read, []

    def counted(number):
        numbers.append(number)
        return read(number)

    monkeypatch.setattr(streamed.groups, "read", counted)
    batches = arguments["x"]
    for index in range(len(batches)):
        assert len(batches[index][1])
    assert sorted(numbers) == list(range(len(streamed.groups)))


def test_means_stay_exact_far_from_zero():
    random = np.random.default_rng(1)
    values = (1e6 + random.normal(size=(1000, 2))).astype("float32")
    measure = RunningStandardizer(2)
    for part in np.array_split(values, 7):
        measure.add(part)
    measure.add(values[:0])
    found = measure.result()
    np.testing.assert_allclose(found.mean, values.astype("float64").mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        found.variance, values.astype("float64").var(0), rtol=1e-6
    )


def test_what_cannot_be_streamed_is_told(tmp_path, monkeypatch):
    write(tmp_path)
    config = parse(CONFIG.format(more="stream = true"), "c")
    monkeypatch.setattr(row_groups, "LARGEST", 100)
    with pytest.raises(DataError, match="Write it again with row_group_size"):
        Streamed(config, tmp_path)
    monkeypatch.undo()
    table = pq.read_table(tmp_path / "all.parquet")
    values = table["a_1"].to_pylist()
    values[77] = None
    table = table.set_column(2, "a_1", pa.array(values))
    pq.write_table(table, tmp_path / "all.parquet", row_group_size=40)
    with pytest.raises(DataError, match="the first is row 77"):
        Streamed(config, tmp_path)
