"""What joins the rows of several files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from coloss.data.readers.arrays import load_array
from coloss.data.readers.columnar import no_column
from coloss.data.readers.errors import DataError, some
from coloss.data.readers.files import reading
from coloss.data.readers.tables import TABLE_SUFFIXES, read_table
from coloss.names import counted

if TYPE_CHECKING:
    import pyarrow as pa


def ids_of(table: pa.Table, id: str, path: Path) -> list[str]:
    """Return a table's ids as text.

    Raises:
        DataError: if there is no such column, or an id is empty or occurs twice.
    """
    return checked_ids(column_as_text(table, id, path), path)


def column_as_text(table: pa.Table, name: str, path: Path) -> list[str | None]:
    """Return a column as text; None where it is empty.

    Raises:
        DataError: if there is no such column.
    """
    if name not in table.column_names:
        raise no_column(name, table.column_names, path)
    return [as_id(value) for value in table[name].to_pylist()]


def read_ids(path: Path, id: str | None, header: bool | None = None) -> list[str]:
    """Return the ids in a file: NPY, one a line, or a table's column.

    Args:
        path: the file.
        id: the table's column.
        header: of a table, as for `read_table`.

    Raises:
        DataError: if the file cannot be read, or an id is empty or occurs twice.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        array = load_array(path)
        if isinstance(array, dict):  # An archive by another name.
            raise DataError("holds arrays by name; expected one array of ids", path)
        return ids_in(array, path)
    if suffix == ".txt":
        with reading(path):
            found = [as_id(line) for line in path.read_text("utf-8").splitlines()]
    elif suffix in TABLE_SUFFIXES and id is not None:
        return ids_of(read_table(path, (id,), header=header), id, path)
    else:
        raise DataError("is no file of ids: expected .npy, .txt or a table", path)
    return checked_ids(found, path)


def ids_in(array: np.ndarray, path: Path) -> list[str]:
    """Return the ids in an array of text or numbers."""
    return checked_ids([as_id(value) for value in array.ravel().tolist()], path)


def as_id(value: object) -> str | None:
    """Return a value as text, such as an id or a label; None where there is none.

    Nothing but an empty cell and `?` is none: a class may be called NA.
    """
    if value is None or value != value:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # Whole numbers become 1.0 where a column has gaps.
    text = str(value).strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        text = text[1:-1]  # openSMILE writes names in single quotes.
    return None if text in ("", "?") else text


def checked_ids(found: list[str | None], path: Path) -> list[str]:
    """Return ids, none of which is empty or occurs twice.

    Raises:
        DataError: if one does.
    """
    empty = [row for row, value in enumerate(found) if value is None]
    if empty:
        raise DataError(
            f"{counted(len(empty), 'row')} without an id (row {some(empty)}, from 0)",
            path,
        )
    ids = [str(value) for value in found]
    twice = [value for value, number in Counter(ids).items() if number > 1]
    if twice:
        raise DataError(
            f"{counted(len(twice), 'id')} more than once: {some(twice)}. Every row "
            "needs its own",
            path,
        )
    return ids
