"""Paired gains against SciPy's own interval and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from coloss.study.statistics import (
    Gain,
    bootstrap_gain,
    mean_interval,
    paired_gain,
    seeds_needed,
)


def test_equals_scipy():
    random = np.random.default_rng(0)
    base = random.normal(size=12)
    values = base + random.normal(0.3, 0.2, size=12)
    found = paired_gain(values, base)
    expected = stats.ttest_rel(values, base)
    interval = expected.confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(values - base))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        found = paired_gain(random.normal(0.5, 1, 8), np.zeros(8))
        hits += found.low <= 0.5 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_equal_differences_have_no_spread():
    found = paired_gain([2.0, 3.0], [1.0, 2.0])
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.p == 0.5  # The sign test of two pairs.


@pytest.mark.parametrize(
    ("values", "baseline", "message"),
    [([1.0], [1.0], "at least 2 pairs"), ([1.0, 2.0], [1.0], "must be pairs")],
)
def test_refusals(values, baseline, message):
    with pytest.raises(ValueError, match=message):
        paired_gain(values, baseline)


def test_equal_differences_are_corrected_for_the_number_of_comparisons():
    """Sign test: 2 * 0.5^n for n pairs, times the comparisons, at most 1."""
    values, zeros = [1.0] * 8, [0.0] * 8
    assert paired_gain(values, zeros).p == 2 * 0.5**8
    assert paired_gain(values, zeros, comparisons=3).p == 6 * 0.5**8
    assert paired_gain(values, zeros, comparisons=3).verdict() == "gained"
    assert paired_gain(values[:4], zeros[:4], comparisons=3).verdict() == "no evidence"
    assert paired_gain([1.0, 1.0], [0.0, 0.0], comparisons=9).p == 1.0
    assert paired_gain([0.0] * 4, [0.0] * 4).p == 1.0


@pytest.mark.parametrize("comparisons", [1, 2, 5])
def test_p_and_interval_are_corrected_alike(comparisons):
    """p below 5 % exactly where the interval leaves 0 out (Dunn 1961)."""
    random = np.random.default_rng(4)
    seen = set()
    for size in np.linspace(0.2, 1.4, 13):
        differences = random.normal(size, 1.0, 9)
        found = paired_gain(differences, np.zeros(9), comparisons)
        plain = stats.ttest_1samp(differences, 0.0)
        assert found.p == pytest.approx(min(1.0, comparisons * plain.pvalue))
        level = 1 - 0.05 / comparisons
        interval = plain.confidence_interval(level)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
        seen.add(found.p < 0.05)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("low", "high", "p", "up", "down"),
    [
        (0.1, 0.3, 0.01, "gained", "harmed"),
        (-0.3, -0.1, 0.01, "harmed", "gained"),
        (-0.1, 0.3, 0.3, "no evidence", "no evidence"),
        (0.0, 0.3, 0.05, "no evidence", "no evidence"),
        (-0.3, 0.0, 0.05, "no evidence", "no evidence"),
        # Without width, the interval alone proves nothing.
        (0.2, 0.2, 0.5, "no evidence", "no evidence"),
    ],
)
def test_the_verdict(low, high, p, up, down):
    gain = Gain((low + high) / 2, low, high, p)
    assert gain.verdict() == gain.verdict("max") == up
    assert gain.verdict("min") == down


def test_the_interval_of_one_arm_is_students():
    values = [0.61, 0.72, 0.66, 0.70, 0.64]
    mean, low, high = mean_interval(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == pytest.approx((expected.low, expected.high))
    alone = mean_interval([0.5])
    assert alone[0] == 0.5 and np.isnan(alone[1:]).all()


@pytest.mark.parametrize(
    ("size", "power", "pairs"),
    [
        # As R's power.t.test(type = "paired") has them, rounded up; two-sided, 5 %.
        (0.5, 0.8, 34),
        (0.8, 0.8, 15),
        (0.2, 0.8, 199),
        (0.5, 0.95, 54),
        (1.0, 0.9, 13),
        # One pair fewer would do if the deviation were known better than n - 1 tell.
        (0.9, 0.95, 19),
        (1.6, 0.95, 8),
        (2.0, 0.8, 5),
        # So far out that SciPy's noncentral t has no number for the power, which is 1.
        (50.0, 0.8, 2),
    ],
)
def test_seeds_needed_are_those_of_the_tables(size, power, pairs):
    # Three differences of -1, 0 and 1: their sample deviation is exactly 1.
    values, baseline = [-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]
    assert seeds_needed(values, baseline, size, power) == pairs
    assert seeds_needed(values, baseline, -size, power) == pairs


@pytest.mark.parametrize(("size", "power"), [(0.05, 0.06), (0.3, 0.1), (0.4, 0.5)])
def test_both_tails_count_where_the_power_is_small(size, power):
    """Squared, Student's noncentral t is Fisher's noncentral F: one tail for both."""

    def has(pairs):
        edge = stats.t.ppf(0.975, pairs - 1) ** 2
        return stats.ncf.sf(edge, 1, pairs - 1, pairs * size**2)

    needed = seeds_needed([-1.0, 0.0, 1.0], [0.0] * 3, size, power)
    assert has(needed) >= power > has(needed - 1)


def test_seeds_needed_by_simulation():
    """One pair fewer has less power than was asked for; as many have it."""
    random = np.random.default_rng(2)
    needed = seeds_needed([-1.0, 0.0, 1.0], [0.0] * 3, effect=1.2, power=0.8)

    def power(pairs):
        draws = random.normal(1.2, 1.0, (4000, pairs))
        return np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05)

    assert power(needed) > 0.78
    assert power(needed - 1) < 0.79


@pytest.mark.parametrize(
    ("effect", "power", "message"),
    [
        (0, 0.8, "`effect`"),
        (float("inf"), 0.8, "`effect`"),
        (1.0, 0.0, "`power`"),
        (1.0, 1.0, "`power`"),
    ],
)
def test_seeds_needed_refuses(effect, power, message):
    with pytest.raises(ValueError, match=message):
        seeds_needed([1.0, 2.0], [0.0, 0.0], effect, power)


def test_equal_differences_need_two_seeds():
    assert seeds_needed([1.0, 2.0], [0.0, 1.0], effect=0.1) == 2
    assert bootstrap_gain([1.0, 2.0], [0.0, 1.0]) == (1.0, 1.0)


def test_the_bootstrap_interval_is_scipys_and_widens_with_comparisons():
    random = np.random.default_rng(5)
    differences = random.exponential(1.0, 20)
    found = bootstrap_gain(differences, np.zeros(20))
    expected = stats.bootstrap(
        (differences,), np.mean, rng=np.random.default_rng(0)
    ).confidence_interval
    assert found == (expected.low, expected.high)
    wide = bootstrap_gain(differences, np.zeros(20), comparisons=4)
    assert wide[0] < found[0] and found[1] < wide[1]


@pytest.mark.parametrize("size", [0.1, 1e9])
def test_rounding_is_no_spread(size):
    """Differences that are equal but for the last digits have an interval of 0."""
    base = np.linspace(0.1, 0.9, 9)
    found = paired_gain(base + size, base)
    assert found.low == found.high == pytest.approx(size)
    assert found.p == 2 * 0.5**9  # The sign test's.
