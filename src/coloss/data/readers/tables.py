"""Files of named columns: CSV, TSV, ARFF, Parquet, Arrow and Feather."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from coloss.data.readers.arff import arff_names, read_arff
from coloss.data.readers.columnar import (
    ARROW_SUFFIXES,
    PARQUET_SUFFIXES,
    parquet_names,
    read_columnar,
)
from coloss.data.readers.delimited import (
    delimited_names,
    looks_like_data,
    read_delimited,
)
from coloss.data.readers.errors import DataError, some
from coloss.data.readers.files import is_arff

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".arff")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, *PARQUET_SUFFIXES, *ARROW_SUFFIXES)


def read_table(
    path: Path,
    as_text: Collection[str] = (),
    only: Collection[str] | None = None,
    header: bool | None = None,
) -> pa.Table:
    """Return the columns of a file.

    A column that its reader knows to be no feature says so in its field: see
    `coloss.data.readers.left_out`.

    Args:
        path: with one of `TABLE_SUFFIXES`. ARFF under another name for text is read
            as what it is.
        as_text: columns of a text file that stay text, such as ids and labels: "007"
            is not 7, and "NA" may be a class.
        only: of a Parquet file, read these of its columns; None: all.
        header: whether the first line of a CSV or TSV file names its columns; False
            calls them `column_1`, `column_2` and so on. None: it does, and an error
            asks where it seems to hold values.

    Raises:
        DataError: if the file cannot be read, names a column twice, lacks one of
            `only`, or seems to have no header.
    """
    kind = _kind(path)
    if kind == "columnar":
        table = read_columnar(path, only)
    elif kind == "arff":
        table = read_arff(path, as_text)
    else:
        table = read_delimited(path, as_text, header)
    _check(table.column_names, table.num_rows, path)
    return table


def column_names(path: Path, header: bool | None = None) -> list[str]:
    """Return the names of a file's columns; of text, without reading the rows.

    Args:
        path: with one of `TABLE_SUFFIXES`.
        header: as for `read_table`; None does not ask.

    Raises:
        DataError: if the file cannot be read.
    """
    kind = _kind(path)
    if kind == "delimited":
        return delimited_names(path, header)
    if kind == "arff":
        return arff_names(path)
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return parquet_names(path)
    return list(read_columnar(path).column_names)


def looks_headerless(path: Path) -> bool:
    """Return whether a file has no line with the names of its columns, as it seems.

    True where the first line of a CSV or TSV file holds numbers as the others do. A
    file of text alone cannot be told apart, and counts as one with a header.

    Args:
        path: any file; False for kinds that always name their columns.

    Raises:
        DataError: if it cannot be read.
    """
    if path.suffix.lower() not in TEXT_SUFFIXES or _kind(path) != "delimited":
        return False
    return looks_like_data(path)


def _kind(path: Path) -> Literal["arff", "delimited", "columnar"]:
    suffix = path.suffix.lower()
    if suffix in (*PARQUET_SUFFIXES, *ARROW_SUFFIXES):
        return "columnar"
    if suffix == ".arff":
        return "arff"
    if suffix not in TEXT_SUFFIXES:
        raise DataError(
            f"has the suffix {suffix!r}; expected one of "
            f"{', '.join((*TABLE_SUFFIXES, '.npy', '.npz'))}",
            path,
        )
    return "arff" if is_arff(path) else "delimited"


def _check(names: Sequence[str], rows: int, path: Path) -> None:
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise DataError(f"has columns of the same name: {some(twice)}", path)
    if rows == 0:
        raise DataError("has no rows", path)
