"""What was trained on: rows of each class in each split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import pandas as pd

UNLABELED = "unlabeled"


Flow: TypeAlias = pd.DataFrame | Iterable[Mapping[str, Any]]
"""Measurements of `GradientFlow`: its frame, or the rows of its table."""


def class_counts(data: Mapping[str, Any]) -> pd.DataFrame:
    """Return how many rows of each class each split has.

    Args:
        data: `rows` and `labeled` (numbers by split), and `class_counts` (by split,
            then class) where there are classes; as the run folder keeps them.

    Returns:
        Columns `split`, `class`, `rows`. Rows without a label are a class of their
        own, `unlabeled`; without classes, the others are `labeled`.
    """
    found = []
    for split, rows in data["rows"].items():
        labeled = data.get("labeled", {}).get(split, rows)
        counts = (data.get("class_counts") or {}).get(split)
        if counts is None:
            counts = {"labeled": labeled}
        found += [(split, str(name), int(count)) for name, count in counts.items()]
        if rows > labeled:
            found.append((split, UNLABELED, int(rows - labeled)))
    return pd.DataFrame(found, columns=["split", "class", "rows"])
