"""What will surprise the author of an objective: one check, one sentence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from coloss.objective.analysis import Analysis
from coloss.objective.derivative import leaves
from coloss.objective.explanation import EdgeInfo, join
from coloss.objective.expression import Binary, Call, Expression, Name
from coloss.objective.functions import FUNCTIONS
from coloss.objective.reach import active, literal
from coloss.objective.words import Pointwise


@dataclass(frozen=True)
class Findings:
    """What is known when the warnings are written.

    Attributes:
        analysis: the derivatives.
        edges: who learns from whom.
        ascended: members trained to fail.
        idle: members that affect nothing.
        frozen: members that are not trained.
        assumed: coefficients without a value.
    """

    analysis: Analysis
    edges: list[EdgeInfo]
    ascended: list[str]
    idle: list[str]
    frozen: Collection[str]
    assumed: list[str]

    @property
    def trained(self) -> list[str]:
        """The members that are not frozen, in order."""
        return [m for m in self.analysis.members if m not in self.frozen]


def advise(findings: Findings) -> list[str]:
    """Return the warnings that apply, the gravest first, without repeats."""
    checks = (
        _gaps,
        _isolated,
        _untaught,
        _untrained,
        _frozen_learners,
        _disagreement,
        _scale,
        _undefined,
        _idle,
        _assumed,
    )
    return list(dict.fromkeys(itertools.chain(*(check(findings) for check in checks))))


def _gaps(findings: Findings) -> Iterator[str]:
    for node in active(findings.analysis.expression):
        inside = {leaf.identifier for leaf in _losses(node, detached=False)}
        hurt = [member for member in findings.ascended if member in inside]
        if not hurt or literal(node) is not None:
            continue
        if _on_a_gap(node) == "two-sided" and len(inside) > 1:
            yield (
                f"{node} holds the better network back: whichever is ahead is trained "
                "up, to fail, until both are equally bad"
            )
        elif _on_a_gap(node) == "one-sided":
            stops = join([f"stop({member})" for member in hurt])
            yield (
                f"{node} drives {join(hurt)} to chance: without {stops} the objective "
                f"shrinks by making {join(hurt)} worse"
            )


def _on_a_gap(node: Expression) -> str:
    """Return what a function does to a difference of losses; see `Pointwise`."""
    function = _function(node)
    if function is not None:
        return function.on_a_gap
    if isinstance(node, Binary) and node.operator == "**":
        exponent = literal(node.right)
        if exponent is not None and exponent > 0 and exponent % 2 == 0:
            return "two-sided"
    return "other"


def _function(node: Expression) -> Pointwise | None:
    found = FUNCTIONS[node.function] if isinstance(node, Call) else None
    return found if isinstance(found, Pointwise) else None


def _isolated(findings: Findings) -> Iterator[str]:
    joined = any(edge.source != edge.learner for edge in findings.edges)
    trained = findings.trained
    if joined or findings.analysis.read or len(trained) < 2:
        return
    down = [m for m in trained if m not in (*findings.ascended, *findings.idle)]
    if not findings.ascended:
        yield (
            "nothing moves between the networks: each learns what it would learn "
            "alone (unless they share layers)"
        )
    elif down:
        others = [m for m in findings.analysis.members if m not in down]
        yield (
            f"nothing moves between the networks: {join(down)} "
            f"{'learns what it' if len(down) == 1 else 'each learn what they'} would "
            f"learn alone, and nothing from {join(others, 'or')}"
        )


def _untaught(findings: Findings) -> Iterator[str]:
    for edge in findings.edges:
        source = edge.source
        slope = findings.analysis.slopes[source]
        learns = any(e.learner == source and e.source != source for e in findings.edges)
        if (
            source in findings.frozen
            or slope.high > 0
            or learns
            or edge.weight_value < 0
        ):
            continue
        if edge.source == edge.learner:
            yield f"{source} trains on its own guesses only: add + {source}"
        elif source in findings.ascended:
            yield f"{edge.learner} imitates {source}, which is trained to fail"
        elif slope.is_absent:
            yield (
                f"{edge.learner} learns from {source}, which nothing trains: add "
                f"+ {source}, or start from a trained network"
            )


def _untrained(findings: Findings) -> Iterator[str]:
    taught = {edge.learner for edge in findings.edges}
    for member in findings.trained:
        slope = findings.analysis.slopes[member]
        only_read = member in findings.analysis.read and member not in taught
        if only_read and slope.is_absent:
            yield (
                f"the loss of {member} is read but nothing trains {member}: it stays "
                f"as it was initialized; add + {member}"
            )


def _frozen_learners(findings: Findings) -> Iterator[str]:
    for edge in findings.edges:
        if edge.learner in findings.frozen and edge.detached:
            yield f"{edge.term} trains nobody: {edge.learner} is frozen"


def _disagreement(findings: Findings) -> Iterator[str]:
    for edge in findings.edges:
        if edge.weight_value < 0 and edge.learner not in findings.frozen:
            other = "itself" if edge.source == edge.learner else edge.source
            yield (
                f"{edge.term} has a negative weight: {edge.learner} is trained to "
                f"disagree with {other}"
            )


def _scale(findings: Findings) -> Iterator[str]:
    moved = {edge.learner for edge in findings.edges}
    moved.update(edge.source for edge in findings.edges if not edge.detached)
    slopes = findings.analysis.slopes
    scaled = [
        member
        for member in findings.trained
        if member not in moved
        and slopes[member].symbol not in (None, "0", "1", "-1")
        and slopes[member].value != 0
    ]
    if scaled:
        yield (
            f"Adam cancels constant factors: for {join(scaled)} only the sign of c "
            "matters, not its size (networks that share no layers)"
        )


def _undefined(findings: Findings) -> Iterator[str]:
    faulty = set(findings.analysis.faults)
    for node in active(findings.analysis.expression):
        function = _function(node)
        if function is None or function.domain is None:
            if node in faulty:
                yield f"{node} is undefined at typical losses"
        elif node in faulty:
            rule = function.domain.rule
            yield f"{node} is NaN at typical losses: its argument must be {rule}"
        elif function.is_steep_at_the_end and _losses(node, detached=False):
            yield (
                f"the gradient of {node} is infinite where its argument is "
                f"{function.domain.least:g}"
            )
    for member, slope in findings.analysis.slopes.items():
        if slope.symbol is not None and not math.isfinite(slope.value):
            yield f"the factor of {member} is not finite: {slope.symbol}"


def _idle(findings: Findings) -> Iterator[str]:
    if findings.idle:
        verb = "affects" if len(findings.idle) == 1 else "affect"
        yield f"{join(findings.idle)} {verb} nothing and will not be trained"


def _assumed(findings: Findings) -> Iterator[str]:
    if findings.assumed:
        yield f"no value for {join(findings.assumed)}: 1.0 assumed here"


def _losses(node: Expression, *, detached: bool) -> list[Name]:
    return [leaf for leaf in leaves(node, detached=detached) if isinstance(leaf, Name)]
