"""An objective as a linear form: factors of losses, terms and nonlinear parts.

The factor of a loss in this form is what multiplies that network's gradient. It
is a polynomial in the coefficients, and independent of data, for everything the
objective only adds up. What it passes through a nonlinear function remains as one
part, whose derivative depends on the losses (`coloss.objective.dual`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from coloss.objective.expression import Binary, Call, Expression, Name, Negative
from coloss.objective.functions import FUNCTIONS
from coloss.objective.polynomial import Polynomial
from coloss.objective.reach import literal
from coloss.objective.words import BATCH, DETACH, TRANSFER

Part = Expression


@dataclass(frozen=True)
class Linear:
    """`constant` plus each part times its factor.

    A part is a member's loss, a transfer term, or a nonlinear expression of these.
    """

    constant: Polynomial = field(default_factory=Polynomial)
    parts: dict[Part, Polynomial] = field(default_factory=dict)

    def plus(self, other: Linear) -> Linear:
        """Return the sum; a part whose factors cancel vanishes."""
        parts = dict(self.parts)
        for part, factor in other.parts.items():
            total = parts.pop(part, Polynomial()) + factor
            if total:
                parts[part] = total
        return Linear(self.constant + other.constant, parts)

    def scaled(self, factor: Polynomial) -> Linear | None:
        """Return the form times a polynomial; None where it becomes unreadable."""
        constant = self.constant.times(factor)
        parts = {part: own.times(factor) for part, own in self.parts.items()}
        known = {part: own for part, own in parts.items() if own is not None}
        if constant is None or len(known) < len(parts):
            return None
        return Linear(constant, {part: own for part, own in known.items() if own})

    @cached_property
    def nonlinear(self) -> dict[Part, Polynomial]:
        """The parts that are neither a loss nor a transfer term."""
        return {part: own for part, own in self.parts.items() if not is_leaf(part)}


def is_leaf(node: Expression) -> bool:
    """Return whether a node is a member's loss or a transfer term."""
    return isinstance(node, Name) or is_term(node)


def is_term(node: Expression) -> bool:
    """Return whether a node is a transfer term."""
    return isinstance(node, Call) and FUNCTIONS[node.function].kind == TRANSFER


def leaves(node: Expression, *, detached: bool = True) -> Iterator[Expression]:
    """Yield the losses and transfer terms that an expression reads.

    Args:
        node: a bound expression.
        detached: whether to look inside `stop(...)` too.
    """
    # Noted in the node, as every answer about a tree that never changes.
    known = vars(node)
    key = _LEAVES[detached]
    if key not in known:
        known[key] = tuple(_leaves(node, detached))
    yield from known[key]


_LEAVES = {True: "_leaves", False: "_reached_leaves"}


def _leaves(node: Expression, detached: bool) -> Iterator[Expression]:
    if literal(node) is not None:
        return
    if is_term(node):
        yield node
    elif isinstance(node, Name):
        if node.role == "member":
            yield node
    elif detached or not (
        isinstance(node, Call) and FUNCTIONS[node.function].kind == DETACH
    ):
        for child in node.children:
            yield from leaves(child, detached=detached)


def linear(node: Expression) -> Linear:
    """Return a bound expression as a linear form."""
    noted = vars(node)
    if _LINEAR not in noted:
        noted[_LINEAR] = _linear(node)
    return noted[_LINEAR]


_LINEAR = "_linear"


def _linear(node: Expression) -> Linear:
    known = literal(node)
    if known is not None:
        return Linear(Polynomial.constant(known))
    if isinstance(node, Name) and node.role != "member":
        return Linear(Polynomial.variable(node))
    if is_leaf(node):
        return Linear(parts={node: Polynomial.constant(1.0)})
    if isinstance(node, Negative):
        return linear(node.operand).scaled(Polynomial.constant(-1.0)) or _whole(node)
    if isinstance(node, Binary):
        return _operation(node) or _whole(node)
    if isinstance(node, Call) and FUNCTIONS[node.function].kind == BATCH:
        return linear(node.arguments[0])
    return _whole(node)


def _operation(node: Binary) -> Linear | None:
    left, right = linear(node.left), linear(node.right)
    if node.operator == "+":
        return left.plus(right)
    if node.operator == "-":
        minus = right.scaled(Polynomial.constant(-1.0))
        return None if minus is None else left.plus(minus)
    if node.operator == "*":
        if not left.parts:
            return right.scaled(left.constant)
        return None if right.parts else left.scaled(right.constant)
    if right.parts or (node.operator == "/" and not right.constant):
        return None
    if node.operator == "/":
        inverse = right.constant.inverse() or Polynomial.variable(node.right, -1)
        return left.scaled(inverse)
    return _power(node, left)


def _power(node: Binary, base: Linear) -> Linear | None:
    exponent = literal(node.right)
    if exponent == 1:
        return base
    if isinstance(node.left, Name) and not base.parts and exponent in (2.0, 3.0, 4.0):
        return Linear(Polynomial.variable(node.left, int(exponent)))
    return None


def _whole(node: Expression) -> Linear:
    """Return an expression that cannot be taken apart as one part or variable."""
    if next(leaves(node), None) is None:
        return Linear(Polynomial.variable(node))
    return Linear(parts={node: Polynomial.constant(1.0)})
