"""Train, validation and test rows of several views, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from coloss.names import counted
from coloss.typing import Rows

Part: TypeAlias = tuple[Any, Any]
"""Inputs and labels: one array, or one by member."""


@dataclass(frozen=True)
class Split:
    """Three parts of a data set, each a pair `(x, y)`.

    Attributes:
        train: rows to train on. `x` is one array or a dict by member; `y` is one
            array or a dict by member.
        validation: rows to select on.
        test: rows to report, never selected on.

    Raises:
        TypeError: if a part is no pair.
        ValueError: if a part is empty, or its arrays have different numbers of rows,
            or the parts have different views.
    """

    train: Part
    validation: Part
    test: Part

    def __post_init__(self) -> None:
        """Check every part."""
        views = None
        for part in (field.name for field in fields(self)):
            value = getattr(self, part)
            if not isinstance(value, tuple) or len(value) != 2:
                raise TypeError(
                    f"`{part}` must be a pair (x, y); found {type(value).__name__}."
                )
            _check_part(part, *value)
            # Sorted: the order of the views means nothing.
            found = sorted(value[0], key=str) if isinstance(value[0], Mapping) else None
            if part != "train" and found != views:
                raise ValueError(f"`{part}` has views {found}; `train` has {views}.")
            views = found


def _check_part(part: str, x: Rows, y: Rows) -> None:
    rows = None
    for letter, values in (("x", x), ("y", y)):
        named = values if isinstance(values, Mapping) else {"": values}
        if not named:
            raise ValueError(f"`{part}`: {letter} is an empty dict.")
        for name, array in named.items():
            what = f"`{part}`: {letter}" + (f" of {name!r}" if name else "")
            shape = np.shape(array)
            if not shape:
                raise TypeError(f"{what} must be an array; found {array!r}.")
            if shape[0] == 0:
                raise ValueError(f"{what} has 0 rows.")
            rows = shape[0] if rows is None else rows
            if shape[0] != rows:
                raise ValueError(
                    f"{what} has {counted(shape[0], 'row')}; expected {rows}."
                )
