"""Whether rows of numbers are probabilities."""

from __future__ import annotations

import numpy as np

_CLOSE = 1e-3
"""How far the probabilities of a row may be from 1 together: files are rounded."""


def improbable(values: np.ndarray) -> tuple[int, str] | None:
    """Return the first row that holds no probabilities, and its first numbers.

    Args:
        values: (rows, ..., classes), or one column of probabilities of one class, which
            need not sum to 1; rows of NaN are missing, and not looked at.

    Returns:
        None where all do.
    """
    flat = values.reshape(len(values), -1)
    bad = ((flat < -_CLOSE) | (flat > 1 + _CLOSE)).any(axis=1)
    if values.ndim > 1 and values.shape[-1] > 1:
        sums = values.sum(axis=-1).reshape(len(values), -1)
        bad |= (np.abs(sums - 1) > _CLOSE).any(axis=1)
    if not bad.any():
        return None
    row = int(np.argmax(bad))
    more = ", ..." if len(flat[row]) > 4 else ""
    return row, ", ".join(f"{value:.3g}" for value in flat[row][:4]) + more
