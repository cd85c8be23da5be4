"""What an objective touches: losses, places in networks, and who gets gradient.

A product with a literal 0 counts as absent: it is not evaluated, taps no layer
and trains nobody.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator

from coloss.objective.expression import (
    Binary,
    Call,
    Edge,
    Expression,
    Name,
    Negative,
    Number,
    Port,
    as_port,
)
from coloss.objective.functions import FUNCTIONS
from coloss.objective.words import DETACH, TRANSFER

_OPERATIONS: dict[str, Callable[[float, float], object]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


def literal(node: Expression) -> float | None:
    """Return the value of an expression made of numbers only, else None."""
    # Trees never change, and are asked again at every node above: noted in the node.
    known = vars(node)
    if _LITERAL not in known:
        known[_LITERAL] = _literal(node)
    return known[_LITERAL]


_LITERAL = "_literal"


def _literal(node: Expression) -> float | None:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Negative):
        inner = literal(node.operand)
        return None if inner is None else -inner
    if isinstance(node, Binary):
        left, right = literal(node.left), literal(node.right)
        if node.operator == "*" and 0.0 in (left, right):
            return 0.0
        if node.operator == "/" and left == 0.0:
            return 0.0
        if left is None or right is None:
            return None
        return _arithmetic(node.operator, left, right)
    return None


def identifiers(node: Expression) -> frozenset[str]:
    """Return every name of a loss or a coefficient in an expression."""
    known = vars(node)
    if _IDENTIFIERS not in known:
        own = {node.identifier} if isinstance(node, Name) else set()
        below = (identifiers(child) for child in node.children)
        known[_IDENTIFIERS] = frozenset(own).union(*below)
    return known[_IDENTIFIERS]


_IDENTIFIERS = "_identifiers"


def undefined(node: Expression) -> bool:
    """Return whether an operation on numbers has no finite value, such as `1/0`."""
    if not isinstance(node, Binary):
        return False
    left, right = literal(node.left), literal(node.right)
    if node.operator == "/" and right == 0.0:
        return True
    return None not in (left, right) and literal(node) is None


def _arithmetic(symbol: str, left: float, right: float) -> float | None:
    try:
        value = _OPERATIONS[symbol](left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    return value if isinstance(value, float) and math.isfinite(value) else None


def active(node: Expression) -> Iterator[Expression]:
    """Yield the node and all below it, leaving out what a literal 0 multiplies."""
    if literal(node) == 0.0:
        return
    yield node
    for child in node.children:
        yield from active(child)


def losses(node: Expression) -> frozenset[str]:
    """Return the members whose supervised loss the expression reads."""
    found = set()
    for below in active(node):
        if isinstance(below, Name) and below.role == "member":
            found.add(below.identifier)
    return frozenset(found) - _only_in_terms(node)


def _only_in_terms(node: Expression) -> frozenset[str]:
    """Members that stand bare in a transfer term, and nowhere as a loss."""
    inside: set[str] = set()
    outside: set[str] = set()

    def visit(below: Expression, in_term: bool) -> None:
        if literal(below) == 0.0:
            return
        if isinstance(below, Name) and below.role == "member":
            (inside if in_term else outside).add(below.identifier)
        term = isinstance(below, Call) and FUNCTIONS[below.function].kind == TRANSFER
        for child in below.children:
            visit(child, in_term or term)

    visit(node, False)
    return frozenset(inside - outside)


def transfer_calls(node: Expression) -> tuple[Call, ...]:
    """Return the transfer terms of an expression, in order, without repeats."""
    found: dict[Call, None] = {}
    for below in active(node):
        if isinstance(below, Call) and FUNCTIONS[below.function].kind == TRANSFER:
            found[below] = None
    return tuple(found)


def edges(term: Call) -> tuple[Edge, ...]:
    """Return a transfer term's edges; bare members are spelled out.

    `mutual(a, b)` has the edges `b >> a` and `a >> b`; `pseudo_label(a)` has
    `a >> a`.
    """
    first = term.arguments[0]
    if isinstance(first, Edge):
        return (first,)
    ports = [as_port(argument) for argument in term.arguments]
    if len(ports) == 1:
        return (Edge((ports[0],), ports[0]),)
    unique = list(dict.fromkeys(ports))
    return tuple(
        Edge(tuple(other for other in unique if other != learner), learner)
        for learner in unique
    )


def ports(node: Expression) -> tuple[Port, ...]:
    """Return every place in a network that the expression's terms read."""
    found: dict[Port, None] = {}
    for term in transfer_calls(node):
        for one in edges(term):
            found.update(dict.fromkeys((*one.sources, one.learner)))
    return tuple(found)


def names(node: Expression) -> tuple[str, ...]:
    """Return every member and coefficient named, in order of appearance."""
    found: dict[str, None] = {}
    for below in node.walk():
        if isinstance(below, Name):
            found[below.identifier] = None
        elif isinstance(below, Port):
            found[below.member] = None
    return tuple(found)


def learners(node: Expression) -> frozenset[str]:
    """Return the members that receive gradient from the expression."""
    if literal(node) is not None:
        return frozenset()
    if isinstance(node, Name):
        return frozenset([node.identifier] if node.role == "member" else [])
    if isinstance(node, Call):
        kind = FUNCTIONS[node.function].kind
        if kind == DETACH:
            return frozenset()
        if kind == TRANSFER:
            return _term_learners(node)
    return frozenset().union(*(learners(child) for child in node.children))


def _term_learners(term: Call) -> frozenset[str]:
    found = set()
    for one in edges(term):
        found.add(one.learner.member)
        if term.option("detach", True) is False:
            found.update(source.member for source in one.sources)
    return frozenset(found)
