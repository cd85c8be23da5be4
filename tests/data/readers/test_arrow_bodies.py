"""What compressed batches unpack to is known before they are unpacked."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest

from coloss.data.readers.arrow_bodies import unpacked_bytes
from coloss.data.readers.columnar import read_columnar
from coloss.data.readers.errors import DataError

TABLE = pa.table(
    {
        "id": [f"row {number % 7}" for number in range(1000)],
        "group": pa.array(["a", "b"] * 500).dictionary_encode(),
        "value": np.zeros(1000),
        "gap": pa.array([None, 1.5] * 500),
    }
)


def written(kind, compression, table=TABLE):
    sink = io.BytesIO()
    make = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with make(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=300)
    return sink.getvalue()


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_every_file_is_read_as_pyarrow_reads_it(kind, compression, tmp_path):
    path = tmp_path / "a.arrow"
    path.write_bytes(written(kind, compression))
    assert read_columnar(path).equals(TABLE)
    empty = written(kind, compression, TABLE.slice(0, 0))
    path.write_bytes(empty)
    assert read_columnar(path).num_rows == 0


def test_the_bytes_are_those_of_the_buffers():
    table = pa.table({"value": np.zeros(1000)})
    sizes = {
        compression: unpacked_bytes(pa.py_buffer(written("stream", compression, table)))
        for compression in (None, "zstd")
    }
    assert sizes == {None: 0, "zstd": 8000}


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_a_bomb_is_refused_before_memory_is_taken(kind, tmp_path):
    content = bytearray(written(kind, "zstd", pa.table({"value": np.zeros(1000)})))
    place = content.index((2400).to_bytes(8, "little"))  # Of the first 300 rows.
    content[place : place + 8] = (2**34).to_bytes(8, "little")
    path = tmp_path / "bomb.arrow"
    path.write_bytes(content)
    pool = pa.default_memory_pool()
    before = pool.max_memory()
    with pytest.raises(DataError, match="memory"):
        read_columnar(path)
    assert pool.max_memory() - before < 2**20
