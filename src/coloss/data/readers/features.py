"""One network's features: ids and a matrix of numbers, from any file."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from coloss.data.readers.arrays import read_arrays
from coloss.data.readers.errors import DataError, some
from coloss.data.readers.ids import ids_in, ids_of, read_ids
from coloss.data.readers.left_out import (
    CATEGORICAL,
    COUNTS,
    EMPTY,
    TEXT,
    LeftOut,
    counts_rows,
    index_columns,
    mark_of,
    told_left_out,
)
from coloss.data.readers.lists import depth_of, item_of, values_of
from coloss.data.readers.tables import read_table
from coloss.names import counted, nearest

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Features:
    """What a file holds for one network.

    Attributes:
        ids: of the rows; None where the file has none.
        values: (rows, ...), float32; NaN where there is no value.
        names: of the columns; empty for arrays.
        left_out: columns that nobody meant as features, with the reasons.
    """

    ids: list[str] | None
    values: np.ndarray
    names: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def without(self, columns: Collection[str], reason: str) -> Features:
        """Return the same without some columns, which `left_out` tells then.

        Args:
            columns: names; those that are not there are passed over.
            reason: why, as the rest of a sentence about a column.
        """
        gone = set(columns)
        kept = [place for place, name in enumerate(self.names) if name not in gone]
        if len(kept) == len(self.names):
            return self
        told = [LeftOut(name, reason) for name in self.names if name in gone]
        return Features(
            self.ids,
            self.values[:, kept],
            [self.names[place] for place in kept],
            [*self.left_out, *told],
        )


def read_features(
    path: Path,
    *,
    id: str | None = None,
    columns: Sequence[str] | None = None,
    reserved: Collection[str] = (),
    ids: Path | None = None,
    array: str | None = None,
    header: bool | None = None,
    meant: Collection[str] = (),
) -> Features:
    """Return the features in a file.

    Args:
        path: a table, an NPY or an NPZ file.
        id: column (or array of an NPZ file) of the ids; None: rows have none.
        columns: names or patterns of a table's features, `!` in front leaves out;
            None: all columns with numbers that are no index, row number or class. A
            column that is named in full is meant, whatever it seems to be.
        reserved: columns that are no features, such as the label.
        ids: file of the ids, for an NPY file.
        array: name of the features in an NPZ file.
        header: whether the first line of a CSV file names its columns; None: it does,
            and an error asks where it seems not to.
        meant: columns that are features whatever they seem to be, if they are there;
            those that a network was trained on.

    Raises:
        DataError: if the file, a column or a value cannot be used.
    """
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        if columns is not None:
            raise DataError("is an array, which has no `columns`", path)
        values, found = read_arrays(path, array, id)
        known = None if found is None else ids_in(found, path)
        known = known if ids is None else read_ids(ids, id, header)
        if id is not None and known is None:
            raise DataError(
                f"has no ids to join by {id!r}. Name a file of them: `ids`", path
            )
        features = Features(known if id is not None else None, values)
    else:
        for name, value in (("ids", ids), ("array", array)):
            if value is not None:
                raise DataError(f"is a table; `{name}` is for NPY and NPZ", path)
        table = read_table(path, () if id is None else (id,), header=header)
        features = features_of(table, path, id, columns, reserved, meant)
    check_finite(features, path)
    if features.ids is not None and len(features.ids) != len(features.values):
        raise DataError(
            f"has {counted(len(features.values), 'row')} and "
            f"{counted(len(features.ids), 'id')}",
            path,
        )
    return features


def features_of(
    table: pa.Table,
    path: Path,
    id: str | None,
    columns: Sequence[str] | None,
    reserved: Collection[str] = (),
    meant: Collection[str] = (),
) -> Features:
    """Return one network's columns of a table, as `read_features` does."""
    known = None if id is None else ids_of(table, id, path)
    apart = {id, *reserved}
    kept = [name for name in table.column_names if name not in apart]
    chosen, left_out = choose_columns(table.schema, kept, columns, path, meant)
    _check_depth(table.schema, chosen, path)
    named = {*(columns or ()), *meant}
    parts: dict[str, np.ndarray] = {}
    for name in chosen:
        values = _numbers(table[name], name, path)
        reason = None if name in named else reason_in(name, values)
        if reason is None:
            parts[name] = values
        else:
            left_out.append(LeftOut(name, reason))
    if not parts:
        raise _no_features(left_out, path)
    return Features(known, *_side_by_side(parts, table.num_rows), left_out)


def choose_columns(
    schema: pa.Schema,
    kept: list[str],
    patterns: Sequence[str] | None,
    path: Path,
    meant: Collection[str] = (),
) -> tuple[list[str], list[LeftOut]]:
    """Return the columns of features, and those that are left out.

    Args:
        schema: of the table.
        kept: columns that may be features.
        patterns: names or patterns, `!` in front leaves out; None: all.
        path: for messages.
        meant: columns that are features whatever they seem to be.

    Raises:
        DataError: if a pattern fits no column, or no column is left.
    """
    chosen = kept if patterns is None else _matching(kept, patterns, path)
    named, indices = set(patterns or ()), index_columns(schema)
    numeric: list[str] = []
    left_out: list[LeftOut] = []
    for name in chosen:
        field = schema.field(name)
        reason = _reason_of(field, indices)
        if not is_numeric(field.type) and name in named:
            told = ""
            if reason is not None and reason.example:
                told = f" ({reason.reason}: {reason.example})"
            raise DataError(
                f"column {name!r} holds {field.type}, no numbers{told}", path
            )
        by_name = name in named or (name in meant and is_numeric(field.type))
        if reason is None or by_name:
            numeric.append(name)
        else:
            left_out.append(reason)
    if not numeric:
        raise _no_features(left_out, path)
    return numeric, left_out


def reason_in(name: str, values: np.ndarray) -> str | None:
    """Return why a column's values say that it is no feature; None: it is one.

    Args:
        name: of the column.
        values: (rows, width).
    """
    if counts_rows(name, values):
        return COUNTS
    return EMPTY if np.isnan(values).all() else None


def _reason_of(field: pa.Field, indices: Mapping[str, str]) -> LeftOut | None:
    """Return why a column's name, type or mark say that it is no feature."""
    from pyarrow import types

    if field.name in indices:
        return LeftOut(field.name, indices[field.name])
    mark = mark_of(field)
    if mark is not None or is_numeric(field.type):
        return mark
    if types.is_dictionary(field.type):
        return LeftOut(field.name, CATEGORICAL)
    text = types.is_string(field.type) or types.is_large_string(field.type)
    return LeftOut(field.name, TEXT if text else f"holds {field.type}, no numbers")


def _no_features(left_out: list[LeftOut], path: Path) -> DataError:
    names = some([column.name for column in left_out])
    told = "".join(f"; {sentence}" for sentence in told_left_out(left_out))
    return DataError(
        f"has no column of numbers among its features ({names}){told}", path
    )


def _matching(kept: list[str], patterns: Sequence[str], path: Path) -> list[str]:
    positive = [p for p in patterns if not p.startswith("!")] or ["*"]
    negative = [p[1:] for p in patterns if p.startswith("!")]
    known = set(kept)
    fitting = {p: _fitting(p, kept, known) for p in (*positive, *negative)}
    for pattern, names in fitting.items():
        if not names:
            raise DataError(
                f"has no column that fits {pattern!r}{nearest(pattern, kept)}", path
            )
    wanted = {name for p in positive for name in fitting[p]}
    barred = {name for p in negative for name in fitting[p]}
    return [n for n in kept if n in wanted and n not in barred]


def _fitting(pattern: str, kept: list[str], known: Collection[str]) -> list[str]:
    """Return the columns that a name or a pattern means; `known` is `kept` as a set."""
    # A name may have the signs of a pattern: "f[0]".
    named = [pattern] if pattern in known else []
    if not any(sign in pattern for sign in "*?["):
        return named
    fits = re.compile(fnmatch.translate(pattern)).match
    return [*named, *(name for name in kept if fits(name))]


def is_numeric(kind: pa.DataType) -> bool:
    """Return whether a type of pyarrow is of numbers, or of lists of them."""
    from pyarrow import types

    kind = item_of(kind)
    return (
        types.is_floating(kind)
        or types.is_integer(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)  # A column without any value may be of numbers.
    )


def _check_depth(schema: pa.Schema, chosen: list[str], path: Path) -> None:
    """Refuse lists of lists beside other columns: they have no common shape."""
    deep = [name for name in chosen if depth_of(schema.field(name).type) > 1]
    if deep and len(chosen) > 1:
        other = next(name for name in chosen if name != deep[0])
        raise DataError(
            f"column {deep[0]!r} holds lists of lists, and cannot stand beside "
            f"{other!r}; choose one: columns = [{deep[0]!r}]",
            path,
        )


def _numbers(column: pa.ChunkedArray, name: str, path: Path) -> np.ndarray:
    """Return a column as (rows, width), or (rows, a, b) for lists of lists."""
    array = column.combine_chunks()
    with np.errstate(over="ignore"):
        values = values_of(array, name, path).astype("float32")
    return values[:, None] if values.ndim == 1 else values


def _side_by_side(
    parts: dict[str, np.ndarray], rows: int
) -> tuple[np.ndarray, list[str]]:
    """Return columns as one array, and the names of its features."""
    if any(part.ndim > 2 for part in parts.values()):
        (values,) = parts.values()
        return values, []
    values = np.empty((rows, sum(part.shape[1] for part in parts.values())), "float32")
    names: list[str] = []
    for name, part in parts.items():
        width = part.shape[1]
        values[:, len(names) : len(names) + width] = part
        names += [name] if width == 1 else [f"{name}[{n}]" for n in range(width)]
    return values, names


def check_finite(features: Features, path: Path) -> None:
    """Refuse infinite values, and those that float32 cannot hold."""
    bad = np.argwhere(np.isinf(features.values))
    if len(bad):
        row, column = bad[0][0], bad[0][-1]
        name = features.names[column] if features.names else str(column)
        raise DataError(
            f"{counted(len(bad), 'value')} infinite, or too large for float32 (the "
            f"first in row {row}, column {name!r})",
            path,
        )
