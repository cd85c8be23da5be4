"""Mean and spread of features: of rows in memory, or of rows that come in portions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Standardizer:
    """Subtracts the mean and divides by the standard deviation of given rows.

    Attributes:
        mean: (features,).
        scale: (features,), 1 where a feature is constant.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray) -> Standardizer:
        """Measure the rows (n, features); NaN rows (missing ones) do not count.

        Raises:
            ValueError: if a value is infinite, or a feature has no value at all.
        """
        values = np.asarray(rows, "float64")
        bad = np.isinf(values).any(axis=0) | np.isnan(values).all(axis=0)
        if bad.any():
            raise ValueError(
                "every feature of `rows` needs a value, and finite ones only; found "
                f"{int(bad.sum())} of {bad.size} without, the first at index "
                f"{np.argwhere(bad)[0].tolist()}."
            )
        mean, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        return cls(mean, _without_zeros(scale, mean))

    @classmethod
    def of_last_axis(cls, values: np.ndarray) -> Standardizer:
        """Measure rows (n, ..., features) over all axes but the last one."""
        return cls.fit(values.reshape(-1, values.shape[-1]))

    @property
    def variance(self) -> np.ndarray:
        """(features,), 1 where a feature is constant."""
        return self.scale**2

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows (n, features) standardized, in float32."""
        return ((np.asarray(rows, "float64") - self.mean) / self.scale).astype(
            "float32"
        )


class RunningStandardizer:
    """Mean and variance of features, over rows that come in portions.

    Portions are combined as in Chan, Golub and LeVeque 1979, "Updating formulae and a
    pairwise algorithm for computing sample variances", which stays exact where the
    mean is large against the spread.

    Args:
        width: number of features.
    """

    def __init__(self, width: int) -> None:
        """Start without a row."""
        self._rows = 0
        self._mean, self._squares = np.zeros(width), np.zeros(width)

    def add(self, values: np.ndarray) -> None:
        """Take rows (n, width) in; none is missing."""
        if not len(values):
            return
        rows = len(values)
        mean = values.mean(axis=0, dtype="float64")
        squares = ((values - mean) ** 2).sum(axis=0)
        total = self._rows + rows
        shift = mean - self._mean
        self._squares += squares + shift**2 * (self._rows * rows / total)
        self._mean += shift * (rows / total)
        self._rows = total

    def result(self) -> Standardizer:
        """Return what standardizes as all rows so far."""
        scale = np.sqrt(self._squares / max(self._rows, 1))
        return Standardizer(self._mean, _without_zeros(scale, self._mean))


def _without_zeros(scale: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return scales, 1 where a feature is constant."""
    # Relative to the mean: small units (1e-13 farad) are no constant, but what
    # rounding leaves of a constant is.
    return np.where(scale <= 1e-12 * np.abs(mean), 1.0, scale)
