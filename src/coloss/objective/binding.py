"""What each name in an objective is: a member's loss or a coefficient."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import NoReturn

from coloss.names import nearest_name, unknown
from coloss.objective.errors import ObjectiveError
from coloss.objective.expression import (
    Binary,
    Call,
    Edge,
    Expression,
    Name,
    Negative,
    Port,
    check_identifier,
    negative,
)
from coloss.objective.functions import FUNCTIONS


def bind(
    expression: Expression, members: Iterable[str], coefficients: Iterable[str]
) -> Expression:
    """Return the same tree with every name known as what it is.

    Args:
        expression: a tree.
        members: the names of the networks.
        coefficients: the names that have a value.

    Raises:
        ObjectiveError: for a name that is neither, or both, or used as what it is
            not; with the nearest valid name.
    """
    return _Names(tuple(members), tuple(coefficients)).resolve(expression)


def summands(node: Expression) -> tuple[Expression, ...]:
    """Return the operands of the top-level `+` and `-`, as written.

    A subtracted operand appears with its minus sign, so that the summands add up to
    the whole. Parentheses are not expanded.
    """
    # Iterative: a long sum is as deep as it has terms.
    found: list[Expression] = []
    while isinstance(node, Binary) and node.operator in "+-":
        right = node.right if node.operator == "+" else negative(node.right)
        found.append(right)
        node = node.left
    found.append(node)
    return tuple(reversed(found))


class _Names:
    """Resolves names to members and coefficients."""

    def __init__(self, members: tuple[str, ...], coefficients: tuple[str, ...]) -> None:
        self.members, self.coefficients = members, coefficients
        for kind, names in (("member", members), ("coefficient", coefficients)):
            for name in names:
                check_identifier(name, kind)
                if name in FUNCTIONS:
                    raise ObjectiveError(
                        f"{kind} {name!r} has the name of a function of the "
                        "objective language; rename it"
                    )
        for name in members:
            if name in coefficients:
                raise ObjectiveError(
                    f"{name!r} is both a member and a coefficient; rename one"
                )

    def resolve(self, node: Expression) -> Expression:
        if isinstance(node, Name):
            return dataclasses.replace(node, role=self.role(node))
        if isinstance(node, Port):
            if node.member not in self.members:
                self.unknown_member(node.member, node.column)
            return node
        if isinstance(node, Edge):
            for port in node.children:
                self.resolve(port)
            return node
        if isinstance(node, Negative):
            return Negative(self.resolve(node.operand))
        if isinstance(node, Binary):
            left, right = self.resolve(node.left), self.resolve(node.right)
            return Binary(node.operator, left, right)
        if isinstance(node, Call):
            arguments = tuple(self.resolve(argument) for argument in node.arguments)
            self.check_bare_members(node, arguments)
            return dataclasses.replace(node, arguments=arguments)
        return node

    def role(self, node: Name) -> str:
        name = node.identifier
        if name in self.members and node.role != "coefficient":
            return "member"
        if name in self.coefficients and node.role != "member":
            return "coefficient"
        if name in self.members or name in self.coefficients:
            raise ObjectiveError(
                f"{name!r} is used as a {node.role}, and is none", column=node.column
            )
        close = nearest_name(name, (*self.members, *self.coefficients))
        if close in self.coefficients:
            raise ObjectiveError(
                f"no coefficient {name!r}; did you mean {close!r}?", column=node.column
            )
        if close is None and node.role != "member":
            raise ObjectiveError(
                f"no member and no coefficient {name!r} (members: "
                f"{', '.join(self.members)}). If it is a coefficient, give its value: "
                f"coefficients={{{name!r}: 1.0}}",
                column=node.column,
            )
        return self.unknown_member(name, node.column)

    def unknown_member(self, name: str, column: int | None) -> NoReturn:
        raise ObjectiveError(unknown("member", name, self.members), column=column)

    def check_bare_members(self, node: Call, arguments: tuple[Expression, ...]) -> None:
        if FUNCTIONS[node.function].members == "none":
            return
        for argument in arguments:
            if isinstance(argument, Name) and argument.role != "member":
                self.unknown_member(argument.identifier, argument.column)
