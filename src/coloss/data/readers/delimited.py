"""CSV and TSV: delimiter, header line, and numbers of every country."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from coloss.data.readers.errors import DataError, some
from coloss.data.readers.files import first_lines, opened, reading
from coloss.data.readers.headers import seems_data
from coloss.data.readers.text_numbers import with_numbers

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = [
    *("", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA"),
    *("NaN", "nan", "NAN", "-nan", "-NaN", "null", "NULL", "None"),
]
"""What stands for no value in a column of numbers. In text, only the first two do."""
_BLOCK = 1 << 25
"""Bytes that are parsed at once: more than the longest line."""
_SAMPLE = 20
"""Lines that are looked at for the delimiter and for a header."""


def read_delimited(
    path: Path, as_text: Collection[str], header: bool | None
) -> pa.Table:
    """Return the columns of a CSV or TSV file.

    Args:
        path: the file.
        as_text: columns that stay text.
        header: whether the first line names the columns; None: it must, and an error
            says so where it seems to hold values.

    Returns:
        The table. Without a header its columns are `column_1`, `column_2` and so on;
        a column without a name is `Unnamed: 0` and so on by its place, as in pandas.

    Raises:
        DataError: if the file cannot be read, or it is unclear whether it has a header.
    """
    rows, delimiter = _first_rows(path)
    if header is None and seems_data(rows, MISSING):
        raise DataError(
            "seems to have no header line: its first line holds numbers as the others "
            f"do ({some([field for field in rows[0] if field], 4)}). Say "
            "`header = false`, and its columns are column_1, column_2 and so on; or "
            "`header = true`, if these are names",
            path,
        )
    names = names_of(rows[0], header)
    # The columns are called by their places while they are read: the file's own names
    # may be empty, or occur twice.
    places = [str(place) for place in range(len(names))]
    text = {p for p, name in zip(places, names, strict=True) if name in as_text}
    skip = 0 if header is False else 1
    with reading(path):
        table = parsed(opened(path), places, delimiter, '"', text, skip=skip)
        table = with_numbers(
            table,
            text,
            MISSING,
            lambda more: parsed(opened(path), places, delimiter, '"', more, skip=skip),
        )
    _check_text(table, path)
    return table.rename_columns(names)


def looks_like_data(path: Path) -> bool:
    """Return whether a file's first line seems to hold values, not names."""
    return seems_data(_first_rows(path)[0], MISSING)


def delimited_names(path: Path, header: bool | None) -> list[str]:
    """Return the names of the columns, without reading the rows."""
    return names_of(_first_rows(path)[0][0], header)


def names_of(first: Sequence[str], header: bool | None) -> list[str]:
    """Return the columns' names.

    Args:
        first: fields of the first line.
        header: False: they are no names.
    """
    if header is False:
        return [f"column_{place + 1}" for place in range(len(first))]
    names: list[str] = []
    for place, name in enumerate(first):
        found = name if name.strip() else f"Unnamed: {place}"
        while found != name and found in (*first, *names):
            found += ".1"  # A file read and written by pandas has one of that name.
        names.append(found)
    return names


def parsed(
    source: IO[bytes],
    names: list[str],
    delimiter: str,
    quote: str,
    as_text: Collection[str],
    *,
    skip: int = 0,
) -> pa.Table:
    """Return text parsed by pyarrow.

    Args:
        source: a file of pyarrow or a buffer, never one of Python.
        names: of the columns.
        delimiter: between values.
        quote: around text.
        as_text: columns that stay text.
        skip: lines before the rows.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    return arrow_csv.read_csv(
        source,
        read_options=arrow_csv.ReadOptions(
            column_names=names, block_size=_BLOCK, skip_rows=skip
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote,
            escape_char="\\" if quote == "'" else False,
        ),
        convert_options=arrow_csv.ConvertOptions(
            null_values=MISSING,
            # Text stays as it is: a class may be called None.
            strings_can_be_null=False,
            column_types=dict.fromkeys(as_text, pa.string()),
        ),
    )


def _first_rows(path: Path) -> tuple[list[list[str]], str]:
    """Return the fields of the first lines, and the delimiter."""
    lines = first_lines(path, _SAMPLE)
    if not lines or not lines[0].strip():
        raise DataError("has no header line with the names of its columns", path)
    lines = [line for line in lines if line.strip()]
    delimiter = _delimiter(lines)
    return list(csv.reader(lines, delimiter=delimiter)), delimiter


def _delimiter(lines: list[str]) -> str:
    """Return what separates values.

    A comma comes last: in files with semicolons or tabs it is a decimal comma.
    """
    for delimiter in "\t;,":
        if delimiter not in lines[0]:
            continue
        widths = {len(row) for row in csv.reader(lines, delimiter=delimiter)}
        if len(widths) == 1:
            return delimiter
    return max(",;\t", key=lines[0].count)


def _check_text(table: pa.Table, path: Path) -> None:
    from pyarrow import types

    if any(types.is_binary(kind) for kind in table.schema.types):
        raise DataError("is no UTF-8 text; convert it first", path)
