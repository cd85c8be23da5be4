"""The range of an expression: that of interval arithmetic, and never too narrow."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from coloss.objective import Objective
from coloss.objective.expression import Expression
from coloss.objective.intervals import range_of

INF = math.inf
LOSSES = {"a": (2.0, 6.0), "b": (1.0, 4.0)}


def bound(text: str, coefficients: tuple[str, ...] = ()) -> Expression:
    return Objective(text).bind(["a", "b"], coefficients).expression


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w*a", (0.0, INF)),
        ("w*(a - b)", (-INF, INF)),
        ("-a", (-INF, 0.0)),
        ("relu(a - stop(b))", (0.0, INF)),
        ("abs(a - b)", (0.0, INF)),
        ("(a - b)**2", (0.0, INF)),
        ("exp(-a)", (0.0, 1.0)),
        ("log(1 + a)", (0.0, INF)),
        ("a/(1 + b)", (0.0, INF)),
        ("a/(b - 1)", (-INF, INF)),
        ("max(a - b, 0)", (0.0, INF)),
        ("clip(a - b, -1, 2)", (-1.0, 2.0)),
        ("distill(b >> a)", (0.0, INF)),
        ("vid(b.h >> a.h)", (-INF, INF)),
    ],
)
def test_of_losses_that_can_have_any_size(text: str, expected: object) -> None:
    node = bound(text, ("w",) if "w" in text else ())
    assert range_of(node, {"w": (0.5, 0.5)}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b", (3.0, 10.0)),
        ("a - b", (-2.0, 5.0)),
        ("-a", (-6.0, -2.0)),
        ("a*b", (2.0, 24.0)),
        ("(3 - a)*b", (-12.0, 4.0)),
        ("a/b", (0.5, 6.0)),
        ("(a - 3)/b", (-1.0, 3.0)),
        ("(1 - a)/b", (-5.0, -0.25)),
        # A divisor that reaches 0, and one that is less.
        ("a/(b - 1)", (2 / 3, INF)),
        ("(1 - a)/(b - 1)", (-INF, -1 / 3)),
        ("(3 - a)/(b - 1)", (-INF, INF)),
        ("a/(b - 2)", (-INF, INF)),
        # A power is at least 0 for a base that is, and for an even number.
        ("a**b", (0.0, INF)),
        ("(3 - a)**2", (0.0, INF)),
        ("(3 - a)**3", (-INF, INF)),
        ("(3 - a)**w", (-INF, INF)),
        ("w*a", (4.0, 18.0)),
    ],
)
def test_of_losses_whose_ends_are_known(text: str, expected: object) -> None:
    node = bound(text, ("w",) if "w" in text else ())
    assert range_of(node, {"w": (2.0, 3.0)}, LOSSES) == pytest.approx(expected)


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "**"])
def test_no_value_lies_outside(symbol: str) -> None:
    """Of any two operands in their ranges, on either side of 0 and at it."""
    node = bound(f"(a + v) {symbol} (b + w)", ("v", "w"))
    ends = [(-3.0, -1.0), (-2.0, 0.0), (-1.0, 2.0), (0.0, 2.0), (0.0, INF), (1.0, 3.0)]
    for first, second in itertools.product(ends, ends):
        zero = {"a": (0.0, 0.0), "b": (0.0, 0.0)}
        low, high = range_of(node, {"v": first, "w": second}, zero)
        left, right = (np.linspace(*np.clip(end, -3, 9), 7) for end in (first, second))
        x, y = np.meshgrid(left, right)
        with np.errstate(all="ignore"):
            values = {
                "+": np.add,
                "-": np.subtract,
                "*": np.multiply,
                "/": np.divide,
                "**": np.power,
            }[symbol](x, y)
        known = values[np.isfinite(values)]
        assert low <= known.min() and known.max() <= high, (first, second)
