"""Trained coefficients: where descent has somewhere to stop."""

from __future__ import annotations

import math

import pytest

from coloss.objective import Objective
from coloss.weighting import Ramp, Trainable
from coloss.weighting.schedules import coefficient_range
from coloss.weighting.trainable import check, raw_of

INF = math.inf


def bound(text, coefficients=("w",)):
    return Objective(text).bind(["a", "b"], coefficients).expression


@pytest.mark.parametrize(
    "text",
    [
        "exp(-w)*a + w + b",
        "0.5*exp(-w)*a + 0.5*w",
        "a/w + log(w) + b",
        "w*a - log(w)",
        "w*distill(b >> a) - log(w) + a",
        "exp(-w)*distill(b >> a) + w + a",
    ],
)
def test_a_coefficient_with_a_price_is_allowed(text):
    check("w", bound(text), ["a", "b"], {"w": 1.0})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("w*a + b", "drive it to 0"),
        ("a + w*distill(b >> a)", "drive it to 0"),
        ("a - w*distill(b >> a)", "grow without end"),
        ("a/w + b", "grow without end"),
        ("a - w*b", "grow without end"),
        ("a + w*(a - b)", "grow without end"),
        ("a + stop(w)*b", r"stop\(\)"),
        ("w*a - log(stop(w))", r"stop\(\)"),
    ],
)
def test_a_coefficient_that_runs_away_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        check("w", bound(text), ["a", "b"], {"w": 1.0})


def test_the_value_is_positive():
    assert math.log1p(math.exp(Trainable(0.3).raw)) == pytest.approx(0.3)
    assert raw_of(100.0) == 100.0
    for wrong in (0, -1, float("nan"), True, "1"):
        with pytest.raises((TypeError, ValueError), match="above 0"):
            Trainable(wrong)


def test_the_range_of_a_coefficient():
    assert coefficient_range(Ramp(-1, 2, epochs=5)) == (-1.0, 2.0)
    assert coefficient_range(Trainable(3)) == (0.0, INF)
    assert coefficient_range(2) == (2.0, 2.0)
