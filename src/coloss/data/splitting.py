"""Which rows are trained on: by shares, by class, and without tearing groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

PARTS = ("train", "validation", "test")
ALIASES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "devel": "validation",
    "development": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
}
"""How data sets call the parts."""


def assign_parts(
    labels: Sequence[Hashable | None],
    shares: tuple[float, float],
    *,
    groups: Sequence[Hashable] | None = None,
    stratify: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Return the part of every row: train, validation or test.

    Labeled rows are dealt out, class by class where `stratify`; rows without a label
    are all for training, unless their group is elsewhere. A group stays together; then
    shares and classes are met as closely as groups allow.

    Args:
        labels: (n,), None where there is none.
        shares: of validation and test among labeled rows.
        groups: (n,), such as speakers.
        stratify: whether classes have the same share in every part.
        seed: of the dealing.

    Returns:
        (n,) of "train", "validation", "test".

    Raises:
        ValueError: if a part would have no labeled row though its share is not 0.

    Examples:
        >>> parts = assign_parts(["a", "b"] * 10, (0.2, 0.2))
        >>> [int((parts == part).sum()) for part in PARTS]
        [12, 4, 4]
    """
    known = np.array([label is not None for label in labels])
    kinds = [label if stratify else 0 for label in labels]
    codes = _codes(kinds)
    random = np.random.default_rng(seed)
    if groups is None:
        parts = np.zeros(len(labels), int)
        for code in np.unique(codes[known]):
            rows = random.permutation(np.flatnonzero(known & (codes == code)))
            parts[rows] = _dealt(len(rows), shares)
    else:
        parts = _by_group(codes, known, _codes(groups), shares, random)
    for number, (part, share) in enumerate(
        zip(PARTS, (1 - sum(shares), *shares), strict=True)
    ):
        if share > 0 and not (known & (parts == number)).any():
            unit = "groups" if groups is not None else "labeled rows"
            count = int(known.sum()) if groups is None else len(set(groups))
            raise ValueError(
                f"no labeled row is left for {part} (share {share:.2g}): there are "
                f"{count} {unit}."
            )
    return np.array(PARTS)[parts]


def _codes(values: Sequence[Hashable]) -> np.ndarray:
    numbers = {value: n for n, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values])


def _dealt(rows: int, shares: tuple[float, float]) -> np.ndarray:
    """Return the parts of so many rows; every part within one row of its share."""
    validation = round(rows * shares[0])
    test = round(rows * (shares[0] + shares[1])) - validation
    counts = (rows - validation - test, validation, test)
    return np.repeat(np.arange(3), counts)


def _by_group(
    codes: np.ndarray,
    known: np.ndarray,
    groups: np.ndarray,
    shares: tuple[float, float],
    random: np.random.Generator,
) -> np.ndarray:
    """Deal out groups, largest first, each to the part that it fits best."""
    counts = np.zeros((groups.max() + 1, codes.max() + 2))
    np.add.at(counts, (groups[known], codes[known]), 1)
    # All rows together count like a class: they, too, are to be near their share.
    counts[:, -1] = counts.sum(axis=1)
    wanted = np.outer((1 - sum(shares), *shares), counts.sum(axis=0))
    have = np.zeros_like(wanted)
    order = random.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    found = np.zeros(len(counts), int)
    for group in order:
        row = counts[group]
        if not row.any():
            continue  # Unlabeled: for training.
        # Relative to what a part wants: a small part does not fill up first.
        scale = np.maximum(wanted.sum(axis=1), 1e-9)
        before = ((have - wanted) ** 2).sum(axis=1)
        after = ((have + row - wanted) ** 2).sum(axis=1)
        part = int(np.argmin((after - before) / scale))
        found[group] = part
        have[part] += row
    return found[groups]
