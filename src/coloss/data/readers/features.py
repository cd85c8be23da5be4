"""One network's features: ids and a matrix of numbers, from any file."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coloss.data.readers.arrays import read_arrays
from coloss.data.readers.errors import DataError, some
from coloss.data.readers.ids import ids_in, ids_of, read_ids
from coloss.data.readers.tables import read_table
from coloss.names import nearest

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Features:
    """What a file holds for one network.

    Attributes:
        ids: of the rows; None where the file has none.
        values: (rows, ...), float32; NaN where there is no value.
        names: of the columns; empty for arrays.
        left_out: columns of text that nobody asked for.
    """

    ids: list[str] | None
    values: np.ndarray
    names: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_features(
    path: Path,
    *,
    id: str | None = None,
    columns: Sequence[str] | None = None,
    reserved: Collection[str] = (),
    ids: Path | None = None,
    array: str | None = None,
) -> Features:
    """Return the features in a file.

    Args:
        path: a table, an NPY or an NPZ file.
        id: column (or array of an NPZ file) of the ids; None: rows have none.
        columns: names or patterns of a table's features, `!` in front leaves out;
            None: all columns with numbers.
        reserved: columns that are no features, such as the label.
        ids: file of the ids, for an NPY file.
        array: name of the features in an NPZ file.

    Raises:
        DataError: if the file, a column or a value cannot be used.
    """
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        if columns is not None:
            raise DataError("is an array, which has no `columns`", path)
        values, found = read_arrays(path, array, id)
        known = None if found is None else ids_in(found, path)
        known = known if ids is None else read_ids(ids, id)
        if id is not None and known is None:
            raise DataError(
                f"has no ids to join by {id!r}. Name a file of them: `ids`", path
            )
        features = Features(known if id is not None else None, values)
    else:
        for name, value in (("ids", ids), ("array", array)):
            if value is not None:
                raise DataError(f"is a table; `{name}` is for NPY and NPZ", path)
        table = read_table(path, () if id is None else (id,))
        features = features_of(table, path, id, columns, reserved)
    check_finite(features, path)
    if features.ids is not None and len(features.ids) != len(features.values):
        raise DataError(
            f"has {len(features.values)} rows and {len(features.ids)} ids", path
        )
    return features


def features_of(
    table: pa.Table,
    path: Path,
    id: str | None,
    columns: Sequence[str] | None,
    reserved: Collection[str] = (),
) -> Features:
    """Return one network's columns of a table, as `read_features` does."""
    known = None if id is None else ids_of(table, id, path)
    kept = [name for name in table.column_names if name not in (id, *reserved)]
    chosen, left_out = choose_columns(table.schema, kept, columns, path)
    parts = [_numbers(table[name], name, path) for name in chosen]
    width = sum(part.shape[1] for part in parts)
    values = np.empty((table.num_rows, width), "float32")
    start = 0
    for part in parts:
        values[:, start : start + part.shape[1]] = part
        start += part.shape[1]
    names = [
        n if part.shape[1] == 1 else f"{n}[{place}]"
        for n, part in zip(chosen, parts, strict=True)
        for place in range(part.shape[1])
    ]
    return Features(known, values, names, left_out)


def choose_columns(
    schema: pa.Schema, kept: list[str], patterns: Sequence[str] | None, path: Path
) -> tuple[list[str], list[str]]:
    """Return the columns of features, and those of text that are left out.

    Args:
        schema: of the table.
        kept: columns that may be features.
        patterns: names or patterns, `!` in front leaves out; None: all.
        path: for messages.

    Raises:
        DataError: if a pattern fits no column, or no column is left.
    """
    chosen = kept if patterns is None else _matching(kept, patterns, path)
    numeric = [name for name in chosen if _is_numeric(schema.field(name).type)]
    text = [name for name in chosen if name not in set(numeric)]
    named = [name for name in text if name in (patterns or ())]
    if named:
        raise DataError(
            f"column {named[0]!r} holds {schema.field(named[0]).type}, no numbers", path
        )
    if not numeric:
        raise DataError(
            f"has no column of numbers among its features ({some(chosen)})", path
        )
    return numeric, text


def _matching(kept: list[str], patterns: Sequence[str], path: Path) -> list[str]:
    positive = [p for p in patterns if not p.startswith("!")] or ["*"]
    negative = [p[1:] for p in patterns if p.startswith("!")]
    for pattern in (*positive, *negative):
        if pattern not in kept and not fnmatch.filter(kept, pattern):
            raise DataError(
                f"has no column that fits {pattern!r}{nearest(pattern, kept)}", path
            )

    def fits(name: str, among: list[str]) -> bool:
        return any(name == p or fnmatch.fnmatchcase(name, p) for p in among)

    return [n for n in kept if fits(n, positive) and not fits(n, negative)]


def _is_numeric(kind: Any) -> bool:
    from pyarrow import types

    if types.is_list(kind) or types.is_fixed_size_list(kind):
        return _is_numeric(kind.value_type)
    if types.is_null(kind):  # A column without any value may be of numbers.
        return True
    return types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)


def _numbers(column: Any, name: str, path: Path) -> np.ndarray:
    """Return a column as (rows, width); width is more than 1 for lists."""
    from pyarrow import types

    kind = column.type
    if types.is_list(kind) or types.is_fixed_size_list(kind):
        return _lists(column, name, path)
    if not types.is_floating(kind) and not types.is_integer(kind):
        column = column.cast("float64")
    array = column.to_numpy()  # Nulls of numbers are NaN there.
    with np.errstate(over="ignore"):
        return array.astype("float32")[:, None]


def _lists(column: Any, name: str, path: Path) -> np.ndarray:
    rows = column.to_pylist()
    lengths = {len(row) for row in rows if row is not None}
    if len(lengths) != 1:
        raise DataError(
            f"column {name!r} has lists of {len(lengths)} different lengths; expected "
            "one",
            path,
        )
    (width,) = lengths
    empty = [np.nan] * width
    return np.array([empty if row is None else row for row in rows], "float32")


def check_finite(features: Features, path: Path) -> None:
    """Refuse infinite values, and those that float32 cannot hold."""
    bad = np.argwhere(np.isinf(features.values))
    if len(bad):
        row, column = bad[0][0], bad[0][-1]
        name = features.names[column] if features.names else str(column)
        raise DataError(
            f"{len(bad)} values are infinite, or too large for float32 (the first in "
            f"row {row}, column {name!r})",
            path,
        )
