"""The range of values that an expression can take. Imports no Keras."""

from __future__ import annotations

import math
from collections.abc import Mapping

from coloss.objective.derivative import is_term
from coloss.objective.expression import (
    Binary,
    Call,
    Expression,
    Name,
    Negative,
    Number,
)
from coloss.objective.functions import FUNCTIONS
from coloss.objective.pointwise import ANY, corners
from coloss.objective.reach import literal
from coloss.objective.words import Interval, Pointwise, Range

POSITIVE: Range = (0.0, math.inf)


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
    if isinstance(node, Call) and is_term(node):
        return ANY if FUNCTIONS[node.function].signed else POSITIVE
    ranges = [range_of(child, coefficients, losses) for child in node.children]
    if isinstance(node, Negative):
        return -ranges[0][1], -ranges[0][0]
    if isinstance(node, Binary):
        return _OPERATORS[node.operator](*ranges)
    if isinstance(node, Call):
        return _of_call(node, ranges)
    raise TypeError(f"`{node}` has no value of its own.")


def _of_call(node: Call, ranges: list[Range]) -> Range:
    function = FUNCTIONS[node.function]
    # `stop` and `mean` leave the range as it is.
    return function.interval(*ranges) if isinstance(function, Pointwise) else ranges[0]


def _difference(left: Range, right: Range) -> Range:
    return left[0] - right[1], left[1] - right[0]


def _quotient(above: Range, below: Range) -> Range:
    if below[0] < 0:
        return ANY
    low = _divided(above[0], below[1] if above[0] >= 0 else below[0])
    return low, _divided(above[1], below[0] if above[1] >= 0 else below[1])


def _divided(x: float, y: float) -> float:
    if x == 0 or y == math.inf:
        return 0.0
    return math.copysign(math.inf, x) if y == 0 else x / y


def _power(base: Range, exponent: Range) -> Range:
    if base[0] >= 0:
        return POSITIVE
    if exponent[0] == exponent[1] and exponent[0] % 2 == 0:
        return POSITIVE
    return ANY


_OPERATORS: dict[str, Interval] = {
    "+": corners(lambda x, y: x + y),
    "-": _difference,
    # 0 times an infinite end is 0: the end itself is never reached.
    "*": corners(lambda x, y: 0.0 if 0.0 in (x, y) else x * y),
    "/": _quotient,
    "**": _power,
}
