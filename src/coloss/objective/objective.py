"""`Objective`: a joint loss as text, as a tree, and its summands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from coloss.objective import reach
from coloss.objective.binding import bind, summands
from coloss.objective.diagnosis import Networks, diagnose
from coloss.objective.errors import ObjectiveError
from coloss.objective.explanation import Explanation
from coloss.objective.expression import (
    Edge,
    Expression,
    as_expression,
    as_value,
)
from coloss.objective.latex import to_latex
from coloss.objective.parser import MAX_DEPTH, parse


class Objective:
    """A joint loss over the losses of named networks.

    Args:
        source: text such as `"w1*acoustic + w2*(acoustic - visual)"`, a tree
            built with operators on `coloss.loss("acoustic")`, or an objective.

    Raises:
        ObjectiveError: if the text is not in the language.
        TypeError: if `source` is none of these.

    Examples:
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
        """The operands of the top-level `+` and `-`; see `binding.summands`."""
        return summands(self.expression)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge of the transfer terms, in order."""
        terms = reach.transfer_calls(self.expression)
        return tuple(edge for term in terms for edge in reach.edges(term))

    @property
    def names(self) -> tuple[str, ...]:
        """Every member and coefficient named, in order of appearance."""
        return reach.names(self.expression)

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
        bound = Objective(self)
        with self._pointing():
            bound.expression = bind(self.expression, members, coefficients)
        return bound

    @contextmanager
    def _pointing(self) -> Iterator[None]:
        """Let an error show the place in the text, where there is a text."""
        try:
            yield
        except ObjectiveError as error:
            raise (error.within(self._text) if self._text else error) from None

    def latex(self) -> str:
        """Return the objective as LaTeX, without surrounding dollar signs."""
        return to_latex(self.expression)

    def explain(
        self,
        *,
        members: Sequence[str],
        coefficients: Mapping[str, Any] | None = None,
        at: Mapping[str, float] | None = None,
        bounds: Mapping[str, float] | None = None,
        frozen: Collection[str] = (),
        regression: Collection[str] = (),
    ) -> Explanation:
        """Return what this loss will do to each network.

        Args:
            members: the networks' names.
            coefficients: values by name; a name without a number counts as 1.
            at: typical losses by member; by default several points between 0.1 and
                2.3 are looked at. Matters only where the objective is not linear.
            bounds: greatest loss of members whose loss is clipped, such as 16.1 for
                a softmax head in Keras.
            frozen: members that are not trained.
            regression: members whose outputs are no classes.

        Raises:
            ObjectiveError: if a name in the objective is unknown.

        Examples:
            >>> import coloss
            >>> found = coloss.Objective("a + w*(a - b)").explain(members=["a", "b"])
            >>> found.coefficients
            {'a': '1 + w', 'b': '-w'}
            >>> found.ascended, found.suggestion
            (['b'], 'a + b + w*distill(b >> a)')
        """
        networks = Networks(
            tuple(members), coefficients or {}, at, bounds or {}, frozen, regression
        )
        with self._pointing():
            return diagnose(self.expression, networks)

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


def explain(objective: Objective | Expression | str, **options: Any) -> Explanation:
    """Return what an objective will do to each network.

    Args:
        objective: text, tree or `Objective`.
        **options: those of `Objective.explain`.
    """
    return Objective(objective).explain(**options)


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
