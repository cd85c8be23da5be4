"""ARFF, as openSMILE and Weka write it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from coloss.data.readers.delimited import parsed
from coloss.data.readers.errors import DataError
from coloss.data.readers.files import reading
from coloss.data.readers.left_out import NOMINAL, marked

if TYPE_CHECKING:
    import pyarrow as pa


class Attribute(NamedTuple):
    """What a line `@attribute` declares.

    Attributes:
        name: of the column.
        kind: "numeric", "real", "integer", "string", "date", "relational" or "nominal".
    """

    name: str
    kind: str


def read_arff(path: Path, as_text: Collection[str]) -> pa.Table:
    """Return the columns of a dense ARFF file.

    What the file declares is kept: a string is text although it reads 7, and a nominal
    attribute is marked as no feature although its classes are called 0, 1 and 2.

    Args:
        path: the file.
        as_text: columns that stay text, besides.

    Raises:
        DataError: if the file is none of this kind.
    """
    import pyarrow as pa

    attributes, lines = _split(path)
    text = {a.name for a in attributes if a.kind in ("string", "date")}
    names = [attribute.name for attribute in attributes]
    source = pa.BufferReader(b"".join(lines))
    with reading(path):
        table = parsed(source, names, ",", "'", {*text, *as_text})
    fields = [
        marked(field, NOMINAL) if attribute.kind == "nominal" else field
        for field, attribute in zip(table.schema, attributes, strict=True)
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def arff_names(path: Path) -> list[str]:
    """Return the names of an ARFF file's columns, without reading rows."""
    with reading(path), path.open("rb") as file:
        return [attribute.name for attribute in _declared(file, path)]


def _split(path: Path) -> tuple[list[Attribute], list[bytes]]:
    """Return the attributes, and the lines of the rows."""
    with reading(path), path.open("rb") as file:
        attributes = _declared(file, path)
        # Between the data there may be comments and empty lines.
        lines = [row for row in file if row.strip() and not row.startswith(b"%")]
    if lines and lines[0].lstrip().startswith(b"{"):
        raise DataError("is a sparse ARFF file; write it as a dense one", path)
    if not lines:
        raise DataError("has no rows", path)
    return attributes, lines


def _declared(file: object, path: Path) -> list[Attribute]:
    """Return the attributes; the file stands at the first row afterwards."""
    found: list[Attribute] = []
    for line in file:  # type: ignore[attr-defined]
        word = line.strip()
        if word.lower().startswith(b"@attribute"):
            found.append(_attribute(word, path))
        elif word.lower() == b"@data":
            if not found:
                raise DataError("declares no attribute before its line @data", path)
            return found
    raise DataError("is no ARFF file: it has no line @data", path)


def _attribute(line: bytes, path: Path) -> Attribute:
    """Return what `@attribute name kind` says; the name may be in quotes."""
    rest = line.decode("utf-8-sig", "replace")[len("@attribute") :].strip()
    quote = rest[:1] if rest[:1] in ('"', "'") else ""
    if quote:
        name, _, kind = rest[1:].partition(quote)
    else:
        name, _, kind = rest.replace("\t", " ").replace("{", " {", 1).partition(" ")
    if not name.strip():
        raise DataError(f"has an attribute without a name: {line!r}", path)
    return Attribute(name.strip(), _kind_of(kind.strip().lower()))


def _kind_of(declared: str) -> str:
    """Return the kind of an attribute; "nominal" where it is no number and no text.

    openSMILE writes its class also as `unknown`, or as `0,1,2` without braces.
    """
    word = declared.split(maxsplit=1)[0] if declared else ""
    known = ("numeric", "real", "integer", "string", "date", "relational")
    return word if word in known else "nominal"
