"""Join tables that hold different subsets of rows, by id."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from coloss.data.rows import (
    Structure,
    as_arrays,
    count,
    mapped,
    missing,
    signed,
    unlabeled,
)
from coloss.names import counted
from coloss.typing import Tensor

Id: TypeAlias = Hashable
"""What a row is known by."""


class Aligned(NamedTuple):
    """Arrays with one row for each id.

    Attributes:
        x: inputs by member; NaN where a member has no such row.
        y: labels, -1 or NaN where there are none; None without labels.
        ids: of the rows.
    """

    x: dict[str, Any]
    y: Tensor
    ids: list[Any]


def align(
    members: Mapping[str, tuple[Any, Any]],
    ids: Iterable[Id] | None = None,
    y: tuple[Any, Any] | None = None,
) -> Aligned:
    """Return the rows of all members side by side, joined by id.

    Args:
        members: `(ids, x)` by member: ids (n,) of any hashable kind, x (n, ...).
        ids: the rows wanted, in this order; None: every id that occurs, in the
            order of first appearance.
        y: `(ids, labels)`.

    Raises:
        TypeError: if a table is no pair.
        ValueError: for an id that occurs twice, or in no table, or ids and rows of
            different numbers.

    Examples:
        >>> import numpy as np, coloss
        >>> found = coloss.data.align(
        ...     {"a": (["u", "v"], np.ones((2, 1))), "b": (["v"], np.ones((1, 1)))},
        ...     y=(["v"], np.array([3])),
        ... )
        >>> found.ids, found.y.tolist(), found.x["b"].ravel().tolist()
        (['u', 'v'], [-1, 3], [nan, 1.0])
    """
    tables = {name: _table(f"{name!r}", table) for name, table in members.items()}
    if not tables:
        raise ValueError("`members` is empty; expected (ids, x) by member.")
    labels = None if y is None else _table("`y`", y)
    places = [place for place, _ in (*tables.values(), *([labels] if labels else []))]
    known = dict.fromkeys(key for place in places for key in place)
    wanted = list(known) if ids is None else _checked("`ids`", ids)
    for key in wanted:
        if key not in known:
            raise ValueError(f"`ids`: no table has a row with the id {key!r}.")
    x = {}
    for name, (place, values) in tables.items():
        lacking = any(key not in place for key in wanted)
        empty = missing(values, len(wanted), name) if lacking else values
        x[name] = _placed(place, values, empty, wanted)
    if labels is None:
        return Aligned(x, None, wanted)
    place, values = labels[0], signed(labels[1])
    return Aligned(
        x, _placed(place, values, unlabeled(values, len(wanted)), wanted), wanted
    )


def _table(what: str, table: object) -> tuple[dict[Id, int], Structure]:
    if not isinstance(table, tuple) or len(table) != 2:
        raise TypeError(
            f"the table of {what} must be a pair (ids, rows); found "
            f"{type(table).__name__}."
        )
    keys, values = _checked(what, table[0]), as_arrays(table[1])
    rows = count(values, f"the table of {what}")
    if rows != len(keys):
        raise ValueError(
            f"the table of {what} has {counted(len(keys), 'id')} and "
            f"{counted(rows, 'row')}."
        )
    return {key: row for row, key in enumerate(keys)}, values


def _checked(what: str, ids: Iterable[Id]) -> list[Any]:
    keys = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    first: dict[Id, int] = {}
    for row, key in enumerate(keys):
        if key in first:
            raise ValueError(
                f"{what}: the id {key!r} occurs twice, in rows {first[key]} and {row}; "
                "which of them is meant cannot be known."
            )
        first[key] = row
    return keys


def _placed(
    place: dict[Id, int], values: Structure, empty: Structure, wanted: list[Any]
) -> Structure:
    here = [row for row, key in enumerate(wanted) if key in place]
    there = [place[key] for key in wanted if key in place]

    def fill(array: np.ndarray, filler: np.ndarray) -> np.ndarray:
        found = np.array(filler[: len(wanted)])
        found[here] = array[there]
        return found

    return mapped(fill, values, empty)
