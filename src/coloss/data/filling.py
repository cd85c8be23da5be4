"""Single gaps in a member's rows."""

from __future__ import annotations

import numpy as np


def means_of(values: np.ndarray) -> np.ndarray:
    """Return each feature's mean over its values; 0 where it has none."""
    gaps = np.isnan(values)
    total = np.where(gaps, 0.0, values.astype("float64")).sum(axis=0)
    return (total / np.maximum((~gaps).sum(axis=0), 1)).astype("float32")


def filled(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return values with single gaps filled; rows that are all missing stay so."""
    gaps = np.isnan(values)
    gaps[gaps.reshape(len(values), -1).all(axis=1)] = False
    return np.where(gaps, means, values) if gaps.any() else values
