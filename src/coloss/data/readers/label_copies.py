"""The label under another name among the features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from coloss.data.readers.features import Features
from coloss.names import counted

_CHANCE = 20
"""Rows, beyond one a class, in which a code must agree: by chance it would in one of a
million columns."""
_BLOCK = 1 << 24
"""Values that are compared at once."""


def label_like(
    features: Features,
    labels: Sequence[object] | Mapping[str, Sequence[object] | np.ndarray] | np.ndarray,
) -> list[str]:
    """Return the columns that say the label in every row that has one.

    A column does where it equals the label (as a number), where it has one number for
    each class and never another, or where it and others are the classes one by one (0
    and 1, as `pandas.get_dummies` writes them).

    Args:
        features: with `names`; others have no columns, and none is returned.
        labels: of the features' rows in their order, or by id: text, class numbers
            with -1, or numbers; None, "" and NaN where there is none.

    Returns:
        Names in the order of the file.

    Raises:
        ValueError: if labels and rows are of different numbers.
    """
    if not features.names:
        return []
    if isinstance(labels, Mapping):
        labels = [labels.get(key) for key in features.ids or []]
    if len(labels) != len(features.values):
        raise ValueError(
            f"{counted(len(labels), 'label')} for "
            f"{counted(len(features.values), 'row')} of features."
        )
    rows, codes, first, numbers = _coded(labels)
    if len(first) < 2:
        return []
    found: set[int] = set()
    if numbers is not None and len(rows) > 3:
        for start, values in _blocks(features.values, rows):
            same = (values == numbers[:, None]).all(axis=0)
            found.update((start + np.flatnonzero(same)).tolist())
    if len(rows) - len(first) >= _CHANCE:
        found |= _codes_of_classes(features.values, rows, codes, first)
    return [features.names[place] for place in sorted(found)]


def _coded(
    labels: Sequence[object] | np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Return what is known of the labels.

    Returns:
        Rows that have one; each one's class as a number from 0; for each class, the
        first place in these rows where it is; the labels as float32, None where they
        are no numbers.
    """
    integers = isinstance(labels, np.ndarray) and labels.dtype.kind in "iu"
    known = [
        (row, value)
        for row, value in enumerate(labels)
        if value is not None
        and value == value
        and str(value).strip() != ""
        and not (integers and value < 0)
    ]
    rows = np.array([row for row, _ in known], int)
    texts = np.array([str(value).strip() for _, value in known], dtype=str)
    _, first, codes = np.unique(texts, return_index=True, return_inverse=True)
    try:
        numbers = texts.astype("float64").astype("float32")
    except ValueError:
        numbers = None
    return rows, codes.ravel(), first, numbers


def _codes_of_classes(
    values: np.ndarray, rows: np.ndarray, codes: np.ndarray, first: np.ndarray
) -> set[int]:
    """Return the columns that are another way to write the classes."""
    found: set[int] = set()
    indicators: dict[int, list[int]] = {}
    classes = len(first)
    for start, block in _blocks(values, rows):
        by_class = block[first]
        for place in np.flatnonzero((block == by_class[codes]).all(axis=0)):
            codebook = by_class[:, place]
            kinds, counts = np.unique(codebook, return_counts=True)
            if len(kinds) == classes:
                found.add(start + int(place))
            elif len(kinds) == 2 and counts.min() == 1:
                which = int(np.flatnonzero(codebook == kinds[counts.argmin()])[0])
                indicators.setdefault(which, []).append(start + int(place))
    # All classes but one are enough: the last is where none of them is.
    if classes > 2 and len(indicators) >= classes - 1:
        found.update(place for places in indicators.values() for place in places)
    return found


def _blocks(values: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield some columns at a time, (rows, columns), with the first one's place."""
    width = max(1, _BLOCK // max(1, len(rows)))
    for start in range(0, values.shape[1], width):
        yield start, values[rows, start : start + width]
