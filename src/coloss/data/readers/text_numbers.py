"""Numbers as people write them: decimal commas, and thousands that are separated."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from coloss.data.readers.left_out import TEXT, TWO_WAYS, marked
from coloss.names import counted

if TYPE_CHECKING:
    import pyarrow as pa

_SPACES = "'\u2019 \u00a0\u2009\u202f"
"""Separators of thousands that are never a decimal sign."""


def _pattern(decimal: str, thousands: str) -> str:
    """Return what a number looks like; groups of three begin with 1 to 9."""
    whole = rf"\d+|[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+"
    whole += rf"|[1-9]\d{{0,2}}(?:[{_SPACES}]\d{{3}})+"
    return rf"^[+-]?(?:(?:{whole})(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?$"


_POINT, _COMMA = _pattern(r"\.", ","), _pattern(",", r"\.")
_COMPILED = (re.compile(_POINT), re.compile(_COMMA))


class _Read(NamedTuple):
    """A column of text, looked at.

    Attributes:
        values: its numbers, or the text where it has others.
        reason: why it is no column of numbers; empty where it is.
        example: what shows that.
        comma: whether only a decimal comma makes numbers of it.
    """

    values: pa.ChunkedArray
    reason: str = ""
    example: str = ""
    comma: bool = False


def as_number(text: str) -> float | None:
    """Return a number, however it is written; None for other text."""
    text = text.strip()
    try:
        return float(text)
    except ValueError:
        pass
    for pattern, comma in zip(_COMPILED, (False, True), strict=True):
        if pattern.match(text):
            plain = re.sub(rf"[{_SPACES}{'.' if comma else ','}]", "", text)
            return float(plain.replace(",", "."))
    return None


def with_numbers(
    table: pa.Table,
    as_text: Collection[str],
    missing: Collection[str],
    again: Callable[[Collection[str]], pa.Table],
) -> pa.Table:
    """Return a table whose columns of written numbers are numbers.

    A column is read with a decimal point or a decimal comma where only one of them
    makes numbers of all its values. One that can be read in two ways ("1,234") stays
    text and is marked, as is text.

    Args:
        table: as parsed; numbers with a point are numbers already.
        as_text: columns that are text.
        missing: what stands for no value in a column of numbers.
        again: reads the same table, with more columns left as text.
    """
    import pyarrow as pa
    from pyarrow import types

    texts = [
        name
        for name in table.column_names
        if types.is_string(table.schema.field(name).type) and name not in as_text
    ]
    found = {name: _read(table[name], missing) for name in texts}
    if any(column.comma for column in found.values()):
        # One file has one decimal sign: 1.234 beside 0,5 may be a thousand.
        floats = [f.name for f in table.schema if types.is_floating(f.type)]
        raw = again({*as_text, *texts, *floats})
        doubted = {name: _read(raw[name], missing) for name in floats}
        found |= {name: c for name, c in doubted.items() if c.reason == TWO_WAYS}
    columns, fields = [], []
    for field, values in zip(table.schema, table.columns, strict=True):
        column = found.get(field.name)
        if column is not None:
            field, values = field.with_type(column.values.type), column.values
            if column.reason:
                field = marked(field, column.reason, column.example)
        fields.append(field)
        columns.append(values)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _read(column: pa.ChunkedArray, missing: Collection[str]) -> _Read:
    """Return a column of text as numbers, if it is one in one way only."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(column)
    gaps = pc.is_in(trimmed, value_set=pa.array(list(missing), pa.string()))
    trimmed = pc.if_else(gaps, pa.scalar(None, pa.string()), trimmed)
    point, comma = (pc.match_substring_regex(trimmed, p) for p in (_POINT, _COMMA))
    all_point, all_comma = pc.all(point).as_py(), pc.all(comma).as_py()
    if all_point is None:
        return _Read(trimmed.cast(pa.null()))  # Not one value.
    if all_point and all_comma:
        signs = pc.match_substring_regex(trimmed, "[.,]")
        if pc.any(signs).as_py():
            return _Read(column, TWO_WAYS, f"such as {_first(trimmed, signs)!r}")
    if all_point or all_comma:
        return _Read(_cast(trimmed, comma=not all_point), comma=not all_point)
    return _Read(column, TEXT, _told_text(trimmed, pc.or_(point, comma)))


def _cast(column: pa.ChunkedArray, *, comma: bool) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    separators = rf"[{_SPACES}{'.' if comma else ','}]"
    plain = pc.replace_substring_regex(column, separators, "")
    plain = pc.replace_substring(plain, ",", ".")
    return pc.replace_substring_regex(plain, r"^\+", "").cast("float64")


def _told_text(column: pa.ChunkedArray, numbers: pa.ChunkedArray) -> str:
    """Return what shows that a column is text; where it nearly is not, how much."""
    import pyarrow.compute as pc

    known, right = pc.count(column).as_py(), pc.sum(numbers).as_py()
    if known == right:
        return "numbers with decimal points, and others with decimal commas"
    first = _first(column, pc.invert(numbers))
    if right * 2 < known:
        return f"such as {first!r}"
    row = pc.index(column, first).as_py()
    return (
        f"in {known - right} of {counted(known, 'row')}, first {first!r} (row {row}, "
        "from 0); all others are numbers: empty these cells to use it"
    )


def _first(column: pa.ChunkedArray, where: pa.ChunkedArray) -> str:
    return column.filter(where)[0].as_py()
