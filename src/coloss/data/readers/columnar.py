"""Parquet, Arrow and Feather."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from coloss.data.readers.arrow_bodies import unpacked_bytes
from coloss.data.readers.errors import DataError, some
from coloss.data.readers.files import check_memory, opened, reading
from coloss.names import nearest

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET_SUFFIXES = (".parquet", ".pq")
ARROW_SUFFIXES = (".arrow", ".feather", ".ipc")
_GROWTH = 1000
"""How many times smaller a table may be than its values: most of them may be equal."""
_VALUE = 8
"""Bytes of a value in memory."""


def read_columnar(path: Path, only: Collection[str] | None = None) -> pa.Table:
    """Return the columns of a Parquet, Arrow or Feather file.

    Args:
        path: the file.
        only: of a Parquet file, read these columns; None: all.

    Raises:
        DataError: if the file is damaged, or lacks a column of `only`.
    """
    with reading(path):
        if path.suffix.lower() in PARQUET_SUFFIXES:
            table = _parquet(path, only)
        else:
            table = _arrow(path)
        # Offsets and indices that point outside of their buffers would be followed
        # when the values are read, and end the process.
        table.validate(full=True)
    return table


def parquet_names(path: Path) -> list[str]:
    """Return the names of a Parquet file's columns, without reading rows."""
    import pyarrow.parquet as pq

    with reading(path), opened(path) as file, pq.ParquetFile(file) as parquet:
        return list(parquet.schema_arrow.names)


def _parquet(path: Path, only: Collection[str] | None) -> pa.Table:
    import pyarrow.parquet as pq

    # Not `read_table`, to which folders such as `year=2020` are columns, too.
    with opened(path) as file, pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        for name in only or ():
            if name not in names:
                raise no_column(name, names, path)
        wanted = None if only is None else [name for name in names if name in only]
        columns = parquet.metadata.num_columns if wanted is None else len(wanted)
        needed = _VALUE * parquet.metadata.num_rows * columns
        check_memory(path, needed, _GROWTH)
        return parquet.read(columns=wanted)


def no_column(name: str, names: list[str], path: Path) -> DataError:
    """Return the error for a column that is not there."""
    return DataError(
        f"has no column {name!r}{nearest(name, names)} (columns: {some(names, 6)})",
        path,
    )


def _arrow(path: Path) -> pa.Table:
    import pyarrow as pa

    with opened(path) as file:
        # In memory, every place that the file names is checked against its end.
        data = file.read_buffer()
    start = data.slice(0, min(8, data.size)).to_pybytes()
    if start.startswith(b"FEA1"):
        raise DataError(
            "is Feather of version 1, which cannot be read safely. Write it again in "
            "pandas: frame.to_feather(path)",
            path,
        )
    if start.startswith(b"ARROW1"):
        # The footer is checked; then what is before it is read as the stream that it
        # is, so that what was looked at before is what is unpacked.
        pa.ipc.open_file(data)
        data = _stream_of(data)
    check_memory(path, unpacked_bytes(data), _GROWTH)
    stream = pa.ipc.open_stream(data)
    return _joined(stream, stream.schema, path)


def _stream_of(data: pa.Buffer) -> pa.Buffer:
    """Return the stream in an Arrow file, without its footer."""
    # The file ends in the footer, its length in 4 bytes, and the name of the format.
    end = data.size - len(_ARROW_END)
    footer = int.from_bytes(data.slice(end, 4).to_pybytes(), "little")
    return data.slice(_ARROW_BEGIN, max(end - footer - _ARROW_BEGIN, 0))


_ARROW_BEGIN, _ARROW_END = 8, b"____ARROW1"
"""Bytes before the stream; what ends a file, with its length first."""


def _joined(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path
) -> pa.Table:
    """Return a table, unless it becomes far larger than its file."""
    import pyarrow as pa

    found, needed = [], 0
    for batch in batches:
        rows = _VALUE * batch.num_rows * batch.num_columns
        needed += max(rows, batch.get_total_buffer_size())
        check_memory(path, needed, _GROWTH)
        found.append(batch)
    return pa.Table.from_batches(found, schema)
