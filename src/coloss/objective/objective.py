"""`Objective`: a joint loss as text, as a tree, and its summands."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from coloss.names import nearest_name, unknown
from coloss.objective import reach
from coloss.objective.errors import ObjectiveError
from coloss.objective.expression import (
    Binary,
    Call,
    Edge,
    Expression,
    Name,
    Negative,
    Port,
    as_expression,
    as_value,
    check_identifier,
    negative,
)
from coloss.objective.functions import FUNCTIONS
from coloss.objective.parser import MAX_DEPTH, parse

if TYPE_CHECKING:
    from coloss.objective.explanation import Explanation


class Objective:
    """A joint loss over the losses of named networks.

    Args:
        source: text such as `"w1*acoustic + w2*(acoustic - visual)"`, a tree
            built with operators on `coloss.loss("acoustic")`, or an objective.

    Raises:
        ObjectiveError: if the text is not in the language.
        TypeError: if `source` is none of these.

    Example:
        >>> import coloss
        >>> objective = coloss.Objective("w1*acoustic + w2*(acoustic - visual)")
        >>> [str(summand) for summand in objective.summands]
        ['w1*acoustic', 'w2*(acoustic - visual)']
        >>> coloss.Objective(str(objective)) == objective
        True
    """

    def __init__(self, source: str | Expression | Objective) -> None:
        """Parse text, or take a tree as it is."""
        self._text: str | None = None
        if isinstance(source, Objective):
            self.expression: Expression = source.expression
            self._text = source._text
        elif isinstance(source, str):
            self.expression = parse(source)
            self._text = source
        else:
            self.expression = as_value(as_expression(source))
            _check_depth(self.expression)
            _check_numbers(self.expression)

    @property
    def summands(self) -> tuple[Expression, ...]:
        """The operands of the top-level `+` and `-`, as written.

        A subtracted operand appears with its minus sign, so that the summands add
        up to the objective. Parentheses are not expanded.
        """
        return tuple(_summands(self.expression))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge of the transfer terms, in order."""
        terms = reach.transfer_calls(self.expression)
        return tuple(edge for term in terms for edge in reach.edges(term))

    @property
    def names(self) -> tuple[str, ...]:
        """Every member and coefficient named, in order of appearance."""
        found: dict[str, None] = {}
        for node in self.expression.walk():
            if isinstance(node, Name):
                found[node.identifier] = None
            elif isinstance(node, Port):
                found[node.member] = None
        return tuple(found)

    @property
    def learners(self) -> frozenset[str]:
        """Members that receive gradient; known once bound."""
        return reach.learners(self.expression)

    def bind(
        self, members: Iterable[str], coefficients: Iterable[str] = ()
    ) -> Objective:
        """Return the same objective with every name known as what it is.

        Args:
            members: the names of the networks.
            coefficients: the names that have a value.

        Raises:
            ObjectiveError: for a name that is neither, or both, or used as what it
                is not; with the nearest valid name.
        """
        known = _Names(tuple(members), tuple(coefficients))
        bound = Objective(self)
        try:
            bound.expression = known.resolve(self.expression)
        except ObjectiveError as error:
            raise (error.within(self._text) if self._text else error) from None
        return bound

    def latex(self) -> str:
        """Return the objective as LaTeX, without surrounding dollar signs."""
        from coloss.objective.latex import to_latex

        return to_latex(self.expression)

    def explain(self, **options: Any) -> Explanation:
        """Return what this loss will do to each network; see `diagnosis.explain`."""
        from coloss.objective.diagnosis import explain

        return explain(self, **options)

    def get_config(self) -> dict[str, str]:
        """Return the objective as a JSON-ready dictionary (its text)."""
        return {"objective": str(self)}

    @classmethod
    def from_config(cls, config: dict[str, str]) -> Objective:
        """Return the objective that `get_config` described."""
        return cls(config["objective"])

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def __str__(self) -> str:
        """Return text that parses back to this objective."""
        return str(self.expression)

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f"Objective({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        """Return whether the trees are equal."""
        return isinstance(other, Objective) and self.expression == other.expression

    def __hash__(self) -> int:
        """Return a hash of the tree."""
        return hash(self.expression)


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
        self.unknown_member(name, node.column)
        return ""

    def unknown_member(self, name: str, column: int | None) -> None:
        raise ObjectiveError(unknown("member", name, self.members), column=column)

    def check_bare_members(self, node: Call, arguments: tuple[Expression, ...]) -> None:
        if FUNCTIONS[node.function].members == "none":
            return
        for argument in arguments:
            if isinstance(argument, Name) and argument.role != "member":
                self.unknown_member(argument.identifier, argument.column)


def _summands(node: Expression) -> list[Expression]:
    # Iterative: a long sum is as deep as it has terms.
    found: list[Expression] = []
    while isinstance(node, Binary) and node.operator in "+-":
        right = node.right if node.operator == "+" else negative(node.right)
        found.append(right)
        node = node.left
    found.append(node)
    return found[::-1]


def _check_numbers(node: Expression) -> None:
    for below in node.walk():
        if reach.undefined(below):
            raise ObjectiveError(f"`{below}` has no finite value")


def _check_depth(node: Expression) -> None:
    level = [node]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in parent.children]
        if not level:
            return
    raise ObjectiveError(f"nested deeper than {MAX_DEPTH} levels")
