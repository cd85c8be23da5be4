"""Paired gains against SciPy's own interval and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from coloss.study import paired_gain


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
