"""Files of named columns: CSV, TSV, ARFF, Parquet, Arrow and Feather."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coloss.data.readers.errors import DataError, some

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".arff")
COLUMN_SUFFIXES = (".parquet", ".pq", ".arrow", ".feather", ".ipc")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, *COLUMN_SUFFIXES)
MISSING = ["", "?", "NA", "N/A", "NaN", "nan", "NAN", "null", "NULL", "None"]
"""What stands for no value in a text file."""
_BLOCK = 1 << 25
"""Bytes that are parsed at once: more than the longest line."""


def read_table(
    path: Path, as_text: Collection[str] = (), only: Collection[str] | None = None
) -> pa.Table:
    """Return the columns of a file.

    Args:
        path: with one of `TABLE_SUFFIXES`.
        as_text: columns of a text file that stay text, such as ids: "007" is not 7.
        only: of a Parquet file, read these of its columns; None: all.

    Raises:
        DataError: if the file cannot be read, or names a column twice.
    """
    import pyarrow as pa

    suffix = path.suffix.lower()
    try:
        if suffix == ".arff":
            table = _arff(path, as_text)
        elif suffix in TEXT_SUFFIXES:
            table = _csv(path, as_text)
        elif suffix in (".parquet", ".pq"):
            import pyarrow.parquet as pq

            if only is not None:
                only = [name for name in pq.read_schema(path).names if name in only]
            table = pq.read_table(path, columns=only)
        elif suffix in COLUMN_SUFFIXES:
            table = _arrow(path)
        else:
            raise DataError(
                f"has the suffix {suffix!r}; expected one of "
                f"{', '.join((*TABLE_SUFFIXES, '.npy', '.npz'))}",
                path,
            )
    except FileNotFoundError:
        raise DataError("does not exist", path) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot be read: {_first_line(error)}", path) from None
    _check(table.column_names, table.num_rows, path)
    return table


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns, without reading the rows.

    Args:
        path: with one of `TABLE_SUFFIXES`.

    Raises:
        DataError: if the file cannot be read.
    """
    import csv

    suffix = path.suffix.lower()
    if suffix in TEXT_SUFFIXES and suffix != ".arff":
        if not path.exists():
            raise DataError("does not exist", path)
        header = _header(path)
        return next(csv.reader([header.rstrip("\r\n")], delimiter=_delimiter(header)))
    if suffix in (".parquet", ".pq"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(path).names)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot be read: {_first_line(error)}", path) from None
    return list(read_table(path).column_names)


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _check(names: Sequence[str], rows: int, path: Path) -> None:
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise DataError(f"has columns of the same name: {some(twice)}", path)
    if rows == 0:
        raise DataError("has no rows", path)


def _csv(path: Path, as_text: Collection[str]) -> pa.Table:
    header = _header(path)
    with path.open("rb") as file:
        return _parsed(file, None, _delimiter(header), '"', as_text)


def _header(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
    except UnicodeDecodeError:
        raise DataError("is no UTF-8 text; convert it first", path) from None
    if not header.strip():
        raise DataError("has no header line with the names of its columns", path)
    return header


def _arff(path: Path, as_text: Collection[str]) -> pa.Table:
    """Read ARFF as openSMILE writes it: text, numbers and classes, not sparse."""
    import pyarrow as pa

    names: list[str] = []
    with path.open("rb") as file:
        for line in file:
            word = line.strip()
            if word.lower().startswith(b"@attribute"):
                names.append(_attribute(word, path))
            elif word.lower() == b"@data":
                break
        else:
            raise DataError("is no ARFF file: it has no line @data", path)
        # Between the data there may be comments and empty lines.
        lines = [row for row in file if row.strip() and not row.startswith(b"%")]
    if lines and lines[0].lstrip().startswith(b"{"):
        raise DataError("is a sparse ARFF file; write it as a dense one", path)
    if not lines:
        raise DataError("has no rows", path)
    source = pa.BufferReader(b"".join(lines))
    return _parsed(source, names, ",", "'", as_text)


def _attribute(line: bytes, path: Path) -> str:
    """Return the name in `@attribute name kind`; it may be in quotes."""
    rest = line.decode("utf-8", "replace")[len("@attribute") :].strip()
    quote = rest[:1] if rest[:1] in "\"'" else ""
    name, found, _ = rest[len(quote) :].partition(quote or " ")
    if not quote and not found:
        name = rest.split("\t", 1)[0]
    if not name:
        raise DataError(f"has an attribute without a name: {line!r}", path)
    return name.strip()


def _parsed(
    source: Any,
    names: list[str] | None,
    delimiter: str,
    quote: str,
    as_text: Collection[str],
) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    return csv.read_csv(
        source,
        read_options=csv.ReadOptions(column_names=names, block_size=_BLOCK),
        parse_options=csv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote,
            escape_char="\\" if quote == "'" else False,
        ),
        convert_options=csv.ConvertOptions(
            null_values=MISSING,
            strings_can_be_null=True,
            column_types=dict.fromkeys(as_text, pa.string()),
        ),
    )


def _arrow(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import feather

    try:
        return feather.read_table(path)
    except pa.ArrowInvalid:
        with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
            return stream.read_all()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
