"""UCI Multiple Features: 2000 handwritten digits, six views of each.

Source, citation and licence (CC BY 4.0): `multiple_features.md` beside this file.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from importlib import resources

import numpy as np

from coloss.checking import NumberRule
from coloss.data.split import Part, Split
from coloss.data.standardizing import Standardizer

WIDTHS = {"fac": 216, "fou": 76, "kar": 64, "mor": 6, "pix": 240, "zer": 47}
"""Features of each view."""

NUM_CLASSES = 10
TRAIN, VALIDATION, TEST = 1000, 400, 600


def load_digits_views(
    views: Sequence[str] = ("fou", "kar", "pix"),
    n_labeled: int | None = None,
    seed: int = 0,
) -> Split:
    """Return the digits, split by seed into 1000, 400 and 600 rows.

    Each digit has 100, 40 and 60 rows in the parts. Rows that are equal in every
    view (six pairs) are kept in one part. Every view is standardized with the mean
    and standard deviation of the training rows, which are shuffled.

    Args:
        views: of `fac` (216 profile correlations), `fou` (76 Fourier coefficients of
            shapes), `kar` (64 Karhunen-Loeve coefficients), `mor` (6 morphological
            features), `pix` (240 pixel averages), `zer` (47 Zernike moments).
        n_labeled: training rows that keep their label, as many of each digit (to
            within one); the others get -1. A smaller set is part of a larger one.
            None: all.
        seed: of split and labels.

    Returns:
        A `Split` whose x are dicts by view of float32 (rows, features) and whose y
        are int32 (rows,).

    Raises:
        ValueError: for an unknown or repeated view, or `n_labeled` out of range.

    Examples:
        >>> import coloss
        >>> split = coloss.data.load_digits_views(n_labeled=100)
        >>> x, y = split.train
        >>> x["kar"].shape, int((y >= 0).sum())
        ((1000, 64), 100)
    """
    names = _checked_views(views)
    _check_n_labeled(n_labeled)
    features, labels = _tables()
    random = np.random.default_rng(seed)
    parts = _split_rows(labels, random)
    known = _labeled(labels[parts[0]], n_labeled, random)
    scaled = {}
    for name in names:
        scale = Standardizer.fit(features[name][parts[0]])
        scaled[name] = scale(features[name])

    def part(rows: np.ndarray) -> Part:
        return {name: scaled[name][rows] for name in names}, labels[rows].copy()

    x, y = part(parts[0])
    return Split((x, np.where(known, y, -1).astype("int32")), *map(part, parts[1:]))


def _check_n_labeled(n_labeled: int | None) -> None:
    if n_labeled is None:
        return
    # At least one of each digit.
    rule = NumberRule(least=NUM_CLASSES, most=TRAIN, whole=True)
    rule.integer("`n_labeled`", n_labeled)


def _checked_views(views: Sequence[str]) -> tuple[str, ...]:
    names = (views,) if isinstance(views, str) else tuple(views)
    if not names:
        raise ValueError(f"`views` is empty; choose from {', '.join(WIDTHS)}.")
    for name in names:
        if name not in WIDTHS:
            close = difflib.get_close_matches(str(name), WIDTHS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"no view {name!r}{hint} (views: {', '.join(WIDTHS)}).")
    if len(set(names)) < len(names):
        raise ValueError(f"a view is named twice: {', '.join(names)}.")
    return names


@functools.cache
def _tables() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Read the six views and the labels."""
    path = resources.files("coloss.data") / "multiple_features.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        features = {name: archive[name].astype("float64") for name in WIDTHS}
        return features, archive["labels"].astype("int32")


@functools.cache
def duplicate_groups() -> np.ndarray:
    """Return (2000,) group numbers: rows equal in every view share one.

    Equal pictures on both sides of a split would be remembered, not recognized.
    """
    features, _ = _tables()
    table = np.hstack([features[name] for name in WIDTHS])
    _, groups = np.unique(table, axis=0, return_inverse=True)
    return groups.ravel()


def _split_rows(
    labels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of the three parts: stratified, duplicates together."""
    parts: list[list[int]] = [[], [], []]
    sizes = [total // NUM_CLASSES for total in (TRAIN, VALIDATION, TEST)]
    groups = duplicate_groups()
    for digit in range(NUM_CLASSES):
        rows = np.flatnonzero(labels == digit)
        order = random.permutation(np.unique(groups[rows]))
        # Pairs first: they find room in every part, single rows fill what is left.
        blocks = sorted((rows[groups[rows] == group] for group in order), key=_pair)
        room = dict(enumerate(sizes))
        for block in blocks:
            free = [index for index in room if room[index] >= len(block)]
            weights = np.array([room[index] for index in free], float)
            chosen = int(random.choice(free, p=weights / weights.sum()))
            parts[chosen] += block.tolist()
            room[chosen] -= len(block)
    train, validation, test = (random.permutation(part) for part in parts)
    return train, validation, test


def _pair(block: np.ndarray) -> int:
    return -len(block)


def _labeled(
    labels: np.ndarray, n_labeled: int | None, random: np.random.Generator
) -> np.ndarray:
    """Return which training rows keep their label: rounds of one row a digit."""
    if n_labeled is None:
        return np.ones(len(labels), bool)
    columns = [
        random.permutation(np.flatnonzero(labels == digit))
        for digit in range(NUM_CLASSES)
    ]
    order = np.stack(columns, axis=1).ravel()
    known = np.zeros(len(labels), bool)
    known[order[:n_labeled]] = True
    return known
