"""The functions of numbers in the objective language: one entry each.

Evaluation on a batch, derivatives, ranges, warnings, LaTeX and MathML all read this
table and nothing else. CONTRIBUTING.md has the recipe for a new function.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from coloss.objective.printer import POWER
from coloss.objective.words import (
    Derivative,
    Domain,
    Interval,
    Notation,
    Pointwise,
    Range,
)

ANY: Range = (-math.inf, math.inf)


def rising(derivative: Derivative, domain: Domain | None = None) -> Interval:
    """Return the interval of a function of one argument that never falls.

    Args:
        derivative: as in `Pointwise`.
        domain: as in `Pointwise`; what lies below it is left out of the range.
    """

    def at(end: float) -> float:
        if domain is not None:
            end = max(end, domain.least)
        try:
            return derivative(end)[0]
        except OverflowError:
            return math.inf
        except (ValueError, ZeroDivisionError):
            # The open end of the domain: the function may fall without limit there.
            return -math.inf

    return lambda inner: (at(inner[0]), at(inner[1]))


def even(derivative: Derivative) -> Interval:
    """Return the interval of a function of |x| that rises with it."""

    def interval(inner: Range) -> Range:
        ends = [derivative(end)[0] for end in inner]
        least = derivative(0.0)[0] if inner[0] <= 0 <= inner[1] else min(ends)
        return least, max(ends)

    return interval


def corners(value: Callable[..., float]) -> Interval:
    """Return the interval of a function that is monotone in each of its arguments."""

    def interval(*ranges: Range) -> Range:
        values = [value(*ends) for ends in itertools.product(*ranges)]
        if any(map(math.isnan, values)):
            return ANY
        return min(values), max(values)

    return interval


def sign(x: float) -> float:
    """Return -1, 0 or 1."""
    return math.copysign(1.0, x) if x else 0.0


def _relu(x: float) -> tuple[float, ...]:
    return max(x, 0.0), float(x > 0)


def _abs(x: float) -> tuple[float, ...]:
    return abs(x), sign(x)


def _square(x: float) -> tuple[float, ...]:
    return x * x, 2.0 * x


def _sqrt(x: float) -> tuple[float, ...]:
    root = math.sqrt(x)
    return root, 0.5 / root if root else math.inf


def _exp(x: float) -> tuple[float, ...]:
    return math.exp(x), math.exp(x)


def _log(x: float) -> tuple[float, ...]:
    return math.log(x), 1.0 / x


def _softplus(x: float) -> tuple[float, ...]:
    smaller = math.exp(-abs(x))
    slope = 1.0 / (1.0 + smaller)
    return max(x, 0.0) + math.log1p(smaller), slope if x >= 0 else smaller * slope


def _max(x: float, y: float) -> tuple[float, ...]:
    # A tie shares the slope between both.
    share = 0.5 * (1.0 + sign(x - y))
    return max(x, y), share, 1.0 - share


def _min(x: float, y: float) -> tuple[float, ...]:
    share = 0.5 * (1.0 - sign(x - y))
    return min(x, y), share, 1.0 - share


def _clip(x: float, low: float, high: float) -> tuple[float, ...]:
    if max(x, low) >= high:
        return high, 0.0, 0.0, 1.0
    return (x, 1.0, 0.0, 0.0) if x > low else (low, 0.0, 1.0, 0.0)


_NOT_NEGATIVE = Domain(0.0, closed=True)
_POSITIVE = Domain(0.0, closed=False)

TABLE: tuple[Pointwise, ...] = (
    Pointwise(
        name="relu",
        value=lambda ops, x: ops.relu(x),
        derivative=_relu,
        interval=rising(_relu),
        on_a_gap="one-sided",
    ),
    Pointwise(
        name="abs",
        value=lambda ops, x: ops.abs(x),
        derivative=_abs,
        interval=even(_abs),
        on_a_gap="two-sided",
        latex=Notation(r"\left|", r"\right|"),
        mathml=Notation("<mrow><mo>|</mo>", "<mo>|</mo></mrow>"),
    ),
    Pointwise(
        name="square",
        value=lambda ops, x: ops.square(x),
        derivative=_square,
        interval=even(_square),
        on_a_gap="two-sided",
        latex=Notation(r"\left(", r"\right)^{2}", POWER),
        mathml=Notation("<msup><mrow><mo>(</mo>", "<mo>)</mo></mrow><mn>2</mn></msup>"),
    ),
    Pointwise(
        name="sqrt",
        value=lambda ops, x: ops.sqrt(x),
        derivative=_sqrt,
        interval=rising(_sqrt, _NOT_NEGATIVE),
        domain=_NOT_NEGATIVE,
        latex=Notation(r"\sqrt{", "}"),
        mathml=Notation("<msqrt><mrow>", "</mrow></msqrt>"),
    ),
    Pointwise(
        name="exp",
        value=lambda ops, x: ops.exp(x),
        derivative=_exp,
        interval=rising(_exp),
        latex=Notation(r"\exp\left(", r"\right)"),
    ),
    Pointwise(
        name="log",
        value=lambda ops, x: ops.log(x),
        derivative=_log,
        interval=rising(_log, _POSITIVE),
        domain=_POSITIVE,
        latex=Notation(r"\log\left(", r"\right)"),
    ),
    Pointwise(
        name="softplus",
        value=lambda ops, x: ops.softplus(x),
        derivative=_softplus,
        interval=rising(_softplus),
        on_a_gap="one-sided",
    ),
    Pointwise(
        name="max",
        arguments=2,
        value=lambda ops, x, y: ops.maximum(x, y),
        derivative=_max,
        interval=corners(max),
        on_a_gap="one-sided",
        latex=Notation(r"\max\left(", r"\right)"),
    ),
    Pointwise(
        name="min",
        arguments=2,
        value=lambda ops, x, y: ops.minimum(x, y),
        derivative=_min,
        interval=corners(min),
        on_a_gap="one-sided",
        latex=Notation(r"\min\left(", r"\right)"),
    ),
    Pointwise(
        name="clip",
        arguments=3,
        # Not `ops.clip`: the limits may be tensors, and get a gradient.
        value=lambda ops, x, low, high: ops.minimum(ops.maximum(x, low), high),
        derivative=_clip,
        interval=corners(lambda x, low, high: min(max(x, low), high)),
        on_a_gap="one-sided",
    ),
)
