"""The range of values that an expression can take. Imports no Keras."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from coloss.objective.derivative import is_term
from coloss.objective.expression import (
    Binary,
    Call,
    Expression,
    Name,
    Negative,
    Number,
)
from coloss.objective.reach import literal

Range = tuple[float, float]

ANY: Range = (-math.inf, math.inf)
POSITIVE: Range = (0.0, math.inf)

_SIGNED_TERMS = ("vid",)
"""Terms that are log-likelihoods, and have no lower bound."""

_RISING = ("sqrt", "exp", "log", "softplus", "relu")


def range_of(
    node: Expression,
    coefficients: Mapping[str, Range],
    losses: Mapping[str, Range] | None = None,
) -> Range:
    """Return the least and the greatest value of a bound expression.

    By interval arithmetic: the true range may be narrower, where one name appears
    twice.

    Args:
        node: a bound expression.
        coefficients: the range of each coefficient.
        losses: the range of each member's loss; 0 to infinity where missing.
    """
    known = literal(node)
    if known is not None:
        return known, known
    if isinstance(node, Number):
        return node.value, node.value
    if isinstance(node, Name):
        if node.role == "coefficient":
            return coefficients.get(node.identifier, ANY)
        return (losses or {}).get(node.identifier, POSITIVE)
    if is_term(node):
        signed = isinstance(node, Call) and node.function in _SIGNED_TERMS
        return ANY if signed else POSITIVE
    ranges = [range_of(child, coefficients, losses) for child in node.children]
    if isinstance(node, Negative):
        return -ranges[0][1], -ranges[0][0]
    name = node.operator if isinstance(node, Binary) else getattr(node, "function", "")
    return _combined(name, ranges)


def _combined(name: str, ranges: list[Range]) -> Range:
    if name in ("stop", "mean"):
        return ranges[0]
    if name == "-":
        (low, high), (other_low, other_high) = ranges
        return low - other_high, high - other_low
    if name in ("+", "*", "max", "min"):
        return _corners(_SIMPLE[name], ranges)
    if name == "/":
        return _quotient(*ranges)
    if name in ("abs", "square"):
        return _even(name, ranges[0])
    if name == "clip":
        (low, high), (least, _), (_, most) = ranges
        return min(max(low, least), most), max(min(high, most), least)
    if name == "**":
        return _power(*ranges)
    if name in _RISING:
        return _rising(name, ranges[0])
    return ANY


_SIMPLE: dict[str, Callable[[float, float], float]] = {
    "+": lambda x, y: x + y,
    "*": lambda x, y: 0.0 if 0.0 in (x, y) else x * y,
    "max": max,
    "min": min,
}


def _corners(function: Callable[[float, float], float], ranges: list[Range]) -> Range:
    values = [function(x, y) for x, y in itertools.product(*ranges)]
    if any(math.isnan(value) for value in values):
        return ANY
    return min(values), max(values)


def _quotient(above: Range, below: Range) -> Range:
    if below[0] < 0:
        return ANY
    low = _divided(above[0], below[1] if above[0] >= 0 else below[0])
    return low, _divided(above[1], below[0] if above[1] >= 0 else below[1])


def _divided(x: float, y: float) -> float:
    if x == 0 or y == math.inf:
        return 0.0
    return math.copysign(math.inf, x) if y == 0 else x / y


def _even(name: str, inner: Range) -> Range:
    low, high = abs(inner[0]), abs(inner[1])
    least = 0.0 if inner[0] <= 0 <= inner[1] else min(low, high)
    most = max(low, high)
    return (least, most) if name == "abs" else (least * least, most * most)


def _power(base: Range, exponent: Range) -> Range:
    if base[0] >= 0:
        return POSITIVE
    if exponent[0] == exponent[1] and exponent[0] % 2 == 0:
        return POSITIVE
    return ANY


def _rising(name: str, inner: Range) -> Range:
    return _at(name, inner[0]), _at(name, inner[1])


def _at(name: str, value: float) -> float:
    if name == "relu":
        return max(value, 0.0)
    if name == "log":
        return math.log(value) if value > 0 else -math.inf
    if name == "sqrt":
        return math.sqrt(max(value, 0.0))
    if value == -math.inf:
        return 0.0
    if name == "softplus":
        return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
    return math.exp(value) if value < 700.0 else math.inf


def coefficient_range(value: Any, epochs: int = 200) -> Range:
    """Return the range of a coefficient: a number, a schedule, or `Trainable`.

    Args:
        value: as given to `compile`. A schedule is asked for its first epochs.
        epochs: how many.
    """
    if getattr(value, "is_trained", False):
        return POSITIVE
    if callable(value):
        found = [float(value(epoch)) for epoch in range(epochs)]
        return min(found), max(found)
    return float(value), float(value)
