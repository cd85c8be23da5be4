"""A corrected objective: what the author of a sign error probably meant.

A network cannot learn from another by pushing the other's loss up. It can by
imitating what the other gives out, so `w*(acoustic - visual)` becomes visual's own
loss plus `w*distill(visual >> acoustic)`. Gaps inside a nonlinear function keep
their shape with the helper's loss in `stop(...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from coloss.objective.analysis import Analysis
from coloss.objective.derivative import Linear, is_term, leaves, linear
from coloss.objective.errors import ObjectiveError
from coloss.objective.expression import (
    Binary,
    Call,
    Expression,
    Name,
    Negative,
    Number,
    Port,
)
from coloss.objective.functions import FUNCTIONS, call
from coloss.objective.parser import parse
from coloss.objective.polynomial import Polynomial
from coloss.objective.words import DETACH


def suggest(
    analysis: Analysis,
    summands: Collection[Expression],
    *,
    failing: Collection[str],
    frozen: Collection[str],
    regression: Collection[str],
    is_sound: Callable[[str], bool],
) -> str | None:
    """Return a corrected objective as text; None where nothing is wrong.

    Args:
        analysis: the objective as it is.
        summands: its top-level operands.
        failing: members that are ascended or make it unbounded.
        frozen: members that are not trained.
        regression: members whose outputs are no classes.
        is_sound: whether a text binds and trains nobody to fail.
    """
    if not failing:
        return None
    trained = [member for member in analysis.members if member not in frozen]
    read = [leaf.identifier for leaf in _members(analysis.expression)]
    pushed = [m for m in trained if m in failing or _is_pushed(m, summands, analysis)]
    candidates = (
        _Repair(analysis, failing, frozen, regression).run(summands),
        _Repair(analysis, pushed, frozen, regression).run(summands),
        _sum([Name(member) for member in trained if member in read]),
        _sum([Name(member) for member in trained]),
    )
    texts = (str(candidate) for candidate in candidates if candidate is not None)
    return next((text for text in texts if is_sound(text)), None)


@dataclass
class _Repair:
    """Goes through the summands, keeps what is sound, and collects the edges."""

    analysis: Analysis
    failing: Collection[str]
    frozen: Collection[str]
    regression: Collection[str]
    kept: list[Expression] = field(default_factory=list)
    dropped: dict[str, None] = field(default_factory=dict)
    weights: dict[tuple[str, str], Polynomial] = field(default_factory=dict)

    def run(self, summands: Collection[Expression]) -> Expression | None:
        """Return the corrected objective."""
        for summand in summands:
            self.take(summand, linear(summand))
        own = self.owed()
        edges = [self.edge(*pair, weight) for pair, weight in self.weights.items()]
        try:
            return _sum([*self.kept, *own, *(edge for edge in edges if edge)])
        except ObjectiveError:
            return None

    def take(self, summand: Expression, form: Linear) -> None:
        """Keep, rewrite or replace one summand."""
        nonlinear = any(
            leaf in _names(self.failing)
            for part in form.nonlinear
            for leaf in leaves(part, detached=False)
        )
        lost = [m for m in self.failing if self.value(form, m) < 0]
        if nonlinear:
            detached = _detach(summand, self.failing)
            if next(leaves(detached, detached=False), None) is not None:
                self.kept.append(detached)
        elif lost:
            self.replace(form, lost)
        else:
            self.kept.append(summand)

    def replace(self, form: Linear, lost: list[str]) -> None:
        """Turn a signed gap into edges, and note whose own loss it held."""
        members = [part.identifier for part in form.parts if isinstance(part, Name)]
        self.dropped.update(dict.fromkeys(members))
        learner = next(
            (m for m in members if m not in self.frozen and self.value(form, m) > 0),
            self.main(),
        )
        for source in lost:
            if learner is not None and learner != source:
                pair = (source, learner)
                before = self.weights.get(pair, Polynomial())
                self.weights[pair] = before + -form.parts[Name(source)]
        for part, weight in form.parts.items():
            if is_term(part) and self.analysis.number(weight) > 0:
                self.kept.append(_times(weight, part))

    def owed(self) -> list[Expression]:
        """Return the own losses that no kept summand holds any more."""
        held = linear(_sum(self.kept) or Number(0.0)).parts
        return [
            Name(member)
            for member in self.analysis.members
            if (member in self.failing or member in self.dropped)
            and member not in self.frozen
            and Name(member) not in held
        ]

    def main(self) -> str | None:
        """Return the first member that the objective trains as it should."""
        slopes = self.analysis.slopes
        return next(
            (
                member
                for member in self.analysis.members
                if member not in (*self.failing, *self.frozen)
                and slopes[member].high > 0
            ),
            None,
        )

    def edge(self, source: str, learner: str, weight: Polynomial) -> Expression | None:
        """Return the term by which the source teaches the learner."""
        if self.analysis.number(weight) <= 0:
            return None
        unlike = source in self.regression or learner in self.regression
        word = "match_logits" if unlike else "distill"
        return _times(weight, call(word, Port(source, ()) >> Port(learner, ())))

    def value(self, form: Linear, member: str) -> float:
        return self.analysis.number(form.parts.get(Name(member), Polynomial()))


def _is_pushed(
    member: str, summands: Collection[Expression], analysis: Analysis
) -> bool:
    """Return whether any summand alone would train this member to fail."""
    factors = (linear(summand).parts.get(Name(member)) for summand in summands)
    return any(analysis.number(factor) < 0 for factor in factors if factor)


def _names(members: Collection[str]) -> list[Name]:
    return [Name(member) for member in members]


def _members(node: Expression) -> list[Name]:
    return [leaf for leaf in leaves(node) if isinstance(leaf, Name)]


def _times(weight: Polynomial, node: Expression) -> Expression:
    return node if str(weight) == "1" else Binary("*", parse(str(weight)), node)


def _sum(summands: list[Expression]) -> Expression | None:
    total: Expression | None = None
    for summand in summands:
        if total is None:
            total = summand
        elif isinstance(summand, Negative):
            total = Binary("-", total, summand.operand)
        else:
            total = Binary("+", total, summand)
    return total


def _detach(node: Expression, members: Collection[str]) -> Expression:
    """Return the expression with these members' losses inside `stop(...)`."""
    if isinstance(node, Name):
        failing = node.role == "member" and node.identifier in members
        return call("stop", node) if failing else node
    if isinstance(node, Negative):
        return Negative(_detach(node.operand, members))
    if isinstance(node, Binary):
        left, right = _detach(node.left, members), _detach(node.right, members)
        return Binary(node.operator, left, right)
    if isinstance(node, Call) and not is_term(node):
        if FUNCTIONS[node.function].kind == DETACH:
            return node
        arguments = tuple(_detach(argument, members) for argument in node.arguments)
        return replace(node, arguments=arguments)
    return node
