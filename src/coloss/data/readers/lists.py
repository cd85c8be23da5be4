"""Columns whose cells are lists, or lists of lists, of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from coloss.data.readers.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type of pyarrow is one of lists."""
    from pyarrow import types

    return (
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
    )


def item_of(kind: pa.DataType) -> pa.DataType:
    """Return the type of what lists of lists hold in the end."""
    while is_list(kind):
        kind = kind.value_type
    return kind


def depth_of(kind: pa.DataType) -> int:
    """Return how deep lists are nested; 0 for a type that is none."""
    depth = 0
    while is_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth


def values_of(array: pa.Array, name: str, path: Path) -> np.ndarray:
    """Return numbers, or lists of them, as (rows, ...); NaN where there is none.

    Args:
        array: of pyarrow, in one piece.
        name: of the column, for messages.
        path: of the file, for messages.

    Returns:
        (rows,) float64 or an integer type, or (rows, a, b, ...) for lists of lists
        with a and b entries each.

    Raises:
        DataError: if lists have different lengths, or none.
    """
    if not is_list(array.type):
        return _plain(array)
    import pyarrow.compute as pc

    lengths = pc.unique(pc.list_value_length(array).drop_null()).to_pylist()
    if len(lengths) != 1 or lengths[0] == 0:
        found = "different lengths" if len(lengths) > 1 else "no entries"
        shown = f" ({min(lengths)} to {max(lengths)})" if len(lengths) > 1 else ""
        raise DataError(
            f"column {name!r} has lists of {found}{shown}; expected one length", path
        )
    # Missing lists have no entries in the flattened column.
    inner = values_of(array.flatten(), name, path)
    inner = inner.reshape(-1, lengths[0], *inner.shape[1:])
    present = array.is_valid().to_numpy(zero_copy_only=False)
    if present.all():
        return inner
    values = np.full((len(array), *inner.shape[1:]), np.nan)
    values[present] = inner
    return values


def _plain(array: pa.Array) -> np.ndarray:
    from pyarrow import types

    kind = array.type
    if not types.is_floating(kind) and not types.is_integer(kind):
        array = array.cast("float64")  # Booleans, decimals, and nulls alone.
    return array.to_numpy(zero_copy_only=False)  # Nulls of numbers are NaN there.
