"""Paired comparison of arms, with SciPy. Deterministic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
GAINED, HARMED, NO_EVIDENCE = "gained", "harmed", "no evidence"


@dataclass(frozen=True)
class Gain:
    """The mean of paired differences, with its interval.

    Attributes:
        mean: mean difference, in the unit of the values.
        low: lower end of the interval of the mean.
        high: upper end.
        p: of the two-sided paired t-test; of the sign test where all differences are
            equal, and the interval has no width.
    """

    mean: float
    low: float
    high: float
    p: float

    def verdict(self, better: str = "max") -> str:
        """Return what the interval says: gained, no evidence or harmed.

        Args:
            better: "max" where more is better, "min" where less is.
        """
        low, high = (
            (self.low, self.high) if better == "max" else (-self.high, -self.low)
        )
        # An interval without width says nothing of how many pairs there were.
        if self.p > 1 - CONFIDENCE:
            return NO_EVIDENCE
        if low > 0:
            return GAINED
        return HARMED if high < 0 else NO_EVIDENCE


def paired_gain(
    values: Sequence[float], baseline: Sequence[float], comparisons: int = 1
) -> Gain:
    """Return by how much `values` exceed `baseline`, pair by pair.

    Args:
        values: (pairs,) one figure a seed.
        baseline: (pairs,) the figure of the same seed without the treatment.
        comparisons: how many intervals are looked at together (Bonferroni): the 95 %
            hold for all of them at once. `p` is corrected, too.

    Returns:
        Mean difference and Student's 95 % interval.

    Raises:
        ValueError: if there are fewer than 2 pairs, or the numbers of pairs differ.

    Reference:
        Student 1908, Biometrika 6(1); Dunn 1961, JASA 56(293).

    Examples:
        >>> paired_gain([3.0, 4.0, 5.0], [1.0, 2.0, 3.0]).mean
        2.0
    """
    differences = _differences(values, baseline)
    mean = float(differences.mean())
    error = _standard_error(differences)
    if error == 0.0:
        p = min(1.0, comparisons * 2.0 ** (1 - len(differences))) if mean else 1.0
        return Gain(mean, mean, mean, p)
    level = 1.0 - (1.0 - CONFIDENCE) / comparisons
    reach = error * float(stats.t.ppf((1 + level) / 2, len(differences) - 1))
    p = float(stats.ttest_1samp(differences, 0.0).pvalue)
    return Gain(mean, mean - reach, mean + reach, min(1.0, p * comparisons))


def bootstrap_gain(
    values: Sequence[float], baseline: Sequence[float], comparisons: int = 1
) -> tuple[float, float]:
    """Return the bootstrap interval of the mean paired difference.

    It assumes no normal distribution; with fewer than about 10 pairs it is too narrow.

    Args:
        values: (pairs,).
        baseline: (pairs,).
        comparisons: as in `paired_gain`.

    Returns:
        Its two ends (bias-corrected and accelerated, 9999 resamples, one fixed seed).

    Reference:
        Efron 1987, JASA 82(397).
    """
    differences = _differences(values, baseline)
    if _standard_error(differences) == 0.0:
        mean = float(differences.mean())
        return mean, mean
    found = stats.bootstrap(
        (differences,),
        np.mean,
        confidence_level=1.0 - (1.0 - CONFIDENCE) / comparisons,
        rng=np.random.default_rng(0),
    )
    low, high = found.confidence_interval
    return float(low), float(high)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of one arm, and the ends of its 95 % interval (Student).

    Args:
        values: (runs,) one figure a seed.

    Returns:
        Mean, lower and upper end; the ends of a single run are NaN.
    """
    found = np.asarray(values, float)
    mean = float(found.mean())
    if len(found) < 2:
        return mean, float("nan"), float("nan")
    reach = float(stats.sem(found) * stats.t.ppf((1 + CONFIDENCE) / 2, len(found) - 1))
    return mean, mean - reach, mean + reach


def seeds_needed(
    values: Sequence[float],
    baseline: Sequence[float],
    effect: float,
    power: float = 0.8,
) -> int:
    """Return how many seeds would show an effect, from the spread of those at hand.

    Args:
        values: (pairs,).
        baseline: (pairs,).
        effect: the mean difference to be found, in the unit of the values; not 0.
        power: chance of finding it, at a two-sided level of 5 %.

    Returns:
        The smallest number of pairs with that power in a paired t-test.

    Raises:
        ValueError: if `effect` is 0 or `power` is not between 0 and 1.

    Reference:
        Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, ch. 2.
    """
    if effect == 0 or not math.isfinite(effect):
        raise ValueError(f"`effect` must be a finite number, not 0; found {effect!r}.")
    if not 0 < power < 1:
        raise ValueError(f"`power` must be between 0 and 1; found {power!r}.")
    spread = float(_differences(values, baseline).std(ddof=1))
    if spread == 0.0:
        return 2
    size = abs(effect) / spread
    low, high = 1, 2
    while _power(size, high) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(size, middle) >= power else (middle, high)
    return high


def _power(size: float, pairs: int) -> float:
    """Return the power of a two-sided paired t-test for a standardized effect."""
    freedom, shift = pairs - 1, size * math.sqrt(pairs)
    edge = stats.t.ppf((1 + CONFIDENCE) / 2, freedom)
    found = stats.nct.sf(edge, freedom, shift) + stats.nct.cdf(-edge, freedom, shift)
    # Far from the edge SciPy's distribution returns NaN; the power is 1 there.
    return 1.0 if math.isnan(found) else float(found)


def _differences(values: Sequence[float], baseline: Sequence[float]) -> np.ndarray:
    first, second = np.asarray(values, float), np.asarray(baseline, float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"`values` and `baseline` must be pairs; found shapes {first.shape} and "
            f"{second.shape}."
        )
    if len(first) < 2:
        raise ValueError(f"an interval needs at least 2 pairs; found {len(first)}.")
    return first - second


def _standard_error(differences: np.ndarray) -> float:
    """Return the standard error; 0 where only rounding tells the numbers apart."""
    error = float(differences.std(ddof=1) / math.sqrt(len(differences)))
    return 0.0 if error <= 1e-12 * max(1.0, abs(float(differences.mean()))) else error
