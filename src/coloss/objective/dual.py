"""Value and derivatives of an expression at given losses: dual numbers.

Floats only. Overflow gives inf and an undefined value NaN, as on a device; a
derivative of 0 stays 0 whatever multiplies it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from coloss.objective.derivative import is_term
from coloss.objective.expression import Binary, Call, Expression, Name, Negative, Number
from coloss.objective.functions import DETACH, FUNCTIONS
from coloss.objective.reach import literal


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
    """

    coefficients: Mapping[str, float]
    losses: Mapping[str, float]
    terms: float = 0.5
    seeds: frozenset[Expression] | None = None
    faults: dict[Expression, None] = field(default_factory=dict)

    def leaf(self, node: Expression) -> Dual:
        """Return the value of a loss or of a transfer term."""
        known = node.identifier if isinstance(node, Name) else None
        value = self.terms if known is None else self.losses.get(known, 1.0)
        seeded = self.seeds is None or node in self.seeds
        return Dual(value, {node: 1.0} if seeded else {})


def evaluate(node: Expression, point: Point) -> Dual:
    """Return an expression's value and slopes at a point."""
    if isinstance(node, Number):
        return Dual(node.value)
    if isinstance(node, Binary) and node.operator in "*/" and literal(node) == 0:
        return Dual(0.0)
    if isinstance(node, Name) and node.role != "member":
        return Dual(point.coefficients.get(node.identifier, 1.0))
    if isinstance(node, Name) or is_term(node):
        return point.leaf(node)
    if isinstance(node, Negative):
        inner = evaluate(node.operand, point)
        return Dual(-inner.value, inner.scaled(-1.0))
    if isinstance(node, Call) and FUNCTIONS[node.function].kind == DETACH:
        return Dual(evaluate(node.arguments[0], point).value)
    arguments = [evaluate(child, point) for child in node.children]
    name = node.operator if isinstance(node, Binary) else getattr(node, "function", "")
    value, *partials = _guarded(name, [argument.value for argument in arguments])
    if math.isnan(value) and not any(math.isnan(one.value) for one in arguments):
        point.faults[node] = None
    slopes: dict[Expression, float] = {}
    for argument, partial in zip(arguments, partials, strict=True):
        for leaf, slope in argument.scaled(partial).items():
            slopes[leaf] = slopes.get(leaf, 0.0) + slope
    return Dual(value, slopes)


def _guarded(name: str, values: list[float]) -> tuple[float, ...]:
    if any(map(math.isnan, values)):
        return (math.nan, *(math.nan for _ in values))
    try:
        return _RULES[name](*values)
    except OverflowError:
        # exp and powers of a huge argument; the sign of the base decides.
        infinite = -math.inf if name == "**" and _odd_negative(*values) else math.inf
        return (infinite, *(math.inf for _ in values))
    except (ValueError, ZeroDivisionError):
        return (math.nan, *(math.nan for _ in values))


def _odd_negative(base: float, exponent: float) -> bool:
    return base < 0 and exponent % 2 == 1


def _softplus(x: float) -> tuple[float, ...]:
    smaller = math.exp(-abs(x))
    slope = 1.0 / (1.0 + smaller)
    return max(x, 0.0) + math.log1p(smaller), slope if x >= 0 else smaller * slope


def _log(x: float) -> tuple[float, ...]:
    return math.log(x), 1.0 / x


def _sqrt(x: float) -> tuple[float, ...]:
    root = math.sqrt(x)
    return root, 0.5 / root if root else math.inf


def _exp(x: float) -> tuple[float, ...]:
    return math.exp(x), math.exp(x)


def _sign(x: float) -> float:
    return math.copysign(1.0, x) if x else 0.0


def _max(x: float, y: float) -> tuple[float, ...]:
    share = 0.5 * (1.0 + _sign(x - y))
    return max(x, y), share, 1.0 - share


def _min(x: float, y: float) -> tuple[float, ...]:
    share = 0.5 * (1.0 - _sign(x - y))
    return min(x, y), share, 1.0 - share


def _clip(x: float, low: float, high: float) -> tuple[float, ...]:
    if x <= low:
        return max(min(x, high), low), 0.0, 1.0, 0.0
    return (x, 1.0, 0.0, 0.0) if x < high else (high, 0.0, 0.0, 1.0)


def _power(x: float, y: float) -> tuple[float, ...]:
    value = x**y
    if isinstance(value, complex):
        raise ValueError("a negative number to a fractional power")
    by_base = 0.0 if y == 0 else y * x ** (y - 1)
    return value, by_base, value * math.log(x) if x > 0 else 0.0


_RULES: dict[str, Callable[..., tuple[float, ...]]] = {
    "+": lambda x, y: (x + y, 1.0, 1.0),
    "-": lambda x, y: (x - y, 1.0, -1.0),
    "*": lambda x, y: (x * y, y, x),
    "/": lambda x, y: (x / y, 1.0 / y, -x / y / y),
    "**": _power,
    "relu": lambda x: (max(x, 0.0), float(x > 0)),
    "abs": lambda x: (abs(x), _sign(x)),
    "square": lambda x: (x * x, 2.0 * x),
    "sqrt": _sqrt,
    "exp": _exp,
    "log": _log,
    "softplus": _softplus,
    "max": _max,
    "min": _min,
    "clip": _clip,
    "mean": lambda x: (x, 1.0),
}
