"""Labels that are text, as class indices or as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from coloss.data.readers.delimited import MISSING
from coloss.data.readers.errors import DataError, some
from coloss.names import counted

MANY = 20
"""Classes beyond which labels that rarely repeat are taken for numbers."""


def class_codes(
    labels: Sequence[str | None], classes: Sequence[str] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Return labels as class indices, and the classes' names.

    Args:
        labels: (rows,), None where there is none.
        classes: in this order; None: those that occur, numbers by value before text.

    Returns:
        (rows,) int32 with -1 where unlabeled, and the classes.

    Raises:
        DataError: if there is no label, a label is no class, there is one class
            only, or there are as many as with numbers.
    """
    known = _known(labels)
    names = sorted(set(known), key=_order)
    if classes is None:
        classes = names
        if len(classes) > MANY and len(classes) > len(known) / 2:
            raise DataError(
                f"has {len(classes)} different labels on "
                f"{counted(len(known), 'row')}. For numbers to predict: "
                'data.task = "regression"'
            )
    strangers = [name for name in names if name not in set(classes)]
    if strangers:
        raise DataError(
            f"has labels that are not listed in data.classes: {some(strangers)} "
            f"(classes: {some(classes, 8)})"
        )
    if len(names) < 2:
        raise DataError(f"has one class only, {names[0]!r}; there is nothing to learn")
    place = {name: number for number, name in enumerate(classes)}
    codes = [-1 if label is None else place[label] for label in labels]
    return np.array(codes, "int32"), list(classes)


def numbers(labels: Sequence[str | None], ids: Sequence[str]) -> np.ndarray:
    """Return labels as float32 numbers (rows,), NaN where unlabeled.

    Args:
        labels: (rows,), None, or a word such as NA, where there is none.
        ids: (rows,), for messages.

    Raises:
        DataError: if there is no label, or one is no finite number.
    """
    _known(labels)
    values = []
    for key, label in zip(ids, labels, strict=True):
        try:
            values.append(np.nan if label is None or label in MISSING else float(label))
        except ValueError:
            raise DataError(
                f"has the label {label!r} in row {key!r}, which is no number"
            ) from None
    array = np.array(values, "float32")
    if np.isinf(array).any():
        raise DataError("has infinite labels")
    return array


def _known(labels: Sequence[str | None]) -> list[str]:
    known = [label for label in labels if label is not None]
    if not known:
        raise DataError("has no label at all: there is nothing to learn from")
    return known


def _order(name: str) -> tuple[int, float, str]:
    """Sort numbers by value, before text; a class called nan is text."""
    try:
        value = float(name)
    except ValueError:
        value = math.nan
    return (1, 0.0, name) if math.isnan(value) else (0, value, name)
