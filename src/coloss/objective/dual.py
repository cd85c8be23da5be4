"""Value and derivatives of an expression at given losses: dual numbers.

Floats only. Overflow gives inf and an undefined value NaN, as on a device; a
derivative of 0 stays 0 whatever multiplies it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from coloss.objective import reach
from coloss.objective.derivative import is_term
from coloss.objective.expression import Binary, Call, Expression, Name, Negative, Number
from coloss.objective.functions import FUNCTIONS
from coloss.objective.words import BATCH, DETACH, Derivative, Pointwise


@dataclass(frozen=True)
class Dual:
    """A value and its derivative by each loss and term it depends on."""

    value: float
    slopes: Mapping[Expression, float] = field(default_factory=dict)

    def scaled(self, factor: float) -> dict[Expression, float]:
        """Return the slopes times a number; 0 times inf is 0 here."""
        if factor == 0:
            return {}
        return {leaf: own * factor for leaf, own in self.slopes.items() if own}


@dataclass
class Point:
    """Where to evaluate.

    Attributes:
        coefficients: the value of each coefficient; 1 where missing.
        losses: the value of each member's loss; 1 where missing.
        terms: the value of every transfer term.
        seeds: the losses and terms to differentiate by; None: all.
        faults: filled with the parts that are undefined here.
        values: filled with the value of each part, by its `id`; None: not kept.
        moved: the one member whose loss is another than where `still` was filled; by it
            alone is differentiated.
        still: values of parts that do not read it.
    """

    coefficients: Mapping[str, float]
    losses: Mapping[str, float]
    terms: float = 0.5
    seeds: frozenset[Expression] | None = None
    faults: dict[Expression, None] = field(default_factory=dict)
    values: dict[int, float] | None = None
    moved: str | None = None
    still: Mapping[int, float] = field(default_factory=dict)

    def leaf(self, node: Expression) -> Dual:
        """Return the value of a loss or of a transfer term."""
        known = node.identifier if isinstance(node, Name) else None
        value = self.terms if known is None else self.losses.get(known, 1.0)
        seeded = self.seeds is None or node in self.seeds
        return Dual(value, {node: 1.0} if seeded else {})


def evaluate(node: Expression, point: Point) -> Dual:
    """Return an expression's value and slopes at a point."""
    if point.moved is not None and point.moved not in reach.identifiers(node):
        known = point.still.get(id(node))
        if known is not None:
            return Dual(known)
    found = _evaluate(node, point)
    if point.values is not None:
        point.values[id(node)] = found.value
    return found


def _evaluate(node: Expression, point: Point) -> Dual:
    if isinstance(node, Number):
        return Dual(node.value)
    if isinstance(node, Binary) and node.operator in "*/" and reach.literal(node) == 0:
        return Dual(0.0)
    if isinstance(node, Name) and node.role != "member":
        return Dual(point.coefficients.get(node.identifier, 1.0))
    if isinstance(node, Name) or is_term(node):
        return point.leaf(node)
    if isinstance(node, Negative):
        inner = evaluate(node.operand, point)
        return Dual(-inner.value, inner.scaled(-1.0))
    arguments = [evaluate(child, point) for child in node.children]
    if isinstance(node, Call) and FUNCTIONS[node.function].kind == DETACH:
        return Dual(arguments[0].value)
    if isinstance(node, Call) and FUNCTIONS[node.function].kind == BATCH:
        return arguments[0]
    values = [argument.value for argument in arguments]
    value, *partials = _guarded(_derivative(node), values)
    if math.isnan(value) and not any(math.isnan(one.value) for one in arguments):
        point.faults[node] = None
    slopes: dict[Expression, float] = {}
    for argument, partial in zip(arguments, partials, strict=True):
        for leaf, slope in argument.scaled(partial).items():
            slopes[leaf] = slopes.get(leaf, 0.0) + slope
    return Dual(value, slopes)


def _derivative(node: Expression) -> Derivative:
    """Return the value and partial derivatives of an operator or function."""
    if isinstance(node, Binary):
        return _OPERATORS[node.operator]
    if isinstance(node, Call):
        function = FUNCTIONS[node.function]
        if isinstance(function, Pointwise):
            return function.derivative
    raise TypeError(f"`{node}` has no value of its own.")


def _guarded(derivative: Derivative, values: list[float]) -> tuple[float, ...]:
    if any(map(math.isnan, values)):
        return (math.nan, *(math.nan for _ in values))
    try:
        return derivative(*values)
    except OverflowError:
        return (math.inf, *(math.inf for _ in values))
    except (ValueError, ZeroDivisionError):
        return (math.nan, *(math.nan for _ in values))


def _power(x: float, y: float) -> tuple[float, ...]:
    try:
        value = x**y
        if isinstance(value, complex):
            raise ValueError("a negative number to a fractional power")
        by_base = 0.0 if y == 0 else y * x ** (y - 1)
    except OverflowError:
        infinite = -math.inf if x < 0 and y % 2 == 1 else math.inf
        return infinite, math.inf, math.inf
    return value, by_base, value * math.log(x) if x > 0 else 0.0


_OPERATORS: dict[str, Derivative] = {
    "+": lambda x, y: (x + y, 1.0, 1.0),
    "-": lambda x, y: (x - y, 1.0, -1.0),
    "*": lambda x, y: (x * y, y, x),
    "/": lambda x, y: (x / y, 1.0 / y, -x / y / y),
    "**": _power,
}
