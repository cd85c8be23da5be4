"""Diagnosis: what a joint loss does to each network, from the expression alone.

Networks without common layers get exactly c_k times the gradient of their own
loss, where c_k is the derivative of the joint loss by theirs. Its sign decides
whether a network learns or is trained to fail. Imports no Keras.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from coloss.objective import reach
from coloss.objective.advice import Findings, advise
from coloss.objective.analysis import Analysis
from coloss.objective.binding import bind, summands
from coloss.objective.errors import ObjectiveError
from coloss.objective.explanation import EdgeInfo, Explanation
from coloss.objective.expression import Expression, Name
from coloss.objective.parser import parse
from coloss.objective.suggestion import suggest


@dataclass(frozen=True)
class Networks:
    """What is known of the networks; see `Objective.explain` for each.

    Attributes:
        members: their names.
        coefficients: values by name.
        at: typical losses by member; None: several points.
        bounds: greatest loss of members whose loss is clipped.
        frozen: members that are not trained.
        regression: members whose outputs are no classes.
    """

    members: tuple[str, ...]
    coefficients: Mapping[str, Any]
    at: Mapping[str, float] | None
    bounds: Mapping[str, float]
    frozen: Collection[str]
    regression: Collection[str]


def diagnose(expression: Expression, networks: Networks) -> Explanation:
    """Return what an objective will do to each network.

    Args:
        expression: the objective's tree; its names need not be bound.
        networks: what is known of them.

    Raises:
        ObjectiveError: if a name in the objective is unknown.
    """
    names, given, frozen = networks.members, networks.coefficients, networks.frozen
    values = _numbers(given)
    bound, unknown = _bind(expression, names, given)
    known = {name: limit for name, limit in networks.bounds.items() if limit < math.inf}
    analysis = Analysis(bound, names, values, networks.at, known)
    ascended, falling = analysis.ascended(frozen), analysis.falling(frozen)
    edges = _edges(analysis)
    idle = _idle(analysis, edges)
    assumed = [n for n in reach.names(bound) if n not in values and n not in names]
    slopes = analysis.slopes.items()
    return Explanation(
        objective=str(bound),
        coefficients={name: slope.symbol for name, slope in slopes},
        values={name: slope.value for name, slope in slopes},
        ranges={name: (slope.low, slope.high) for name, slope in slopes},
        ascended=ascended,
        unbounded=[name for name in falling if name not in known],
        bounds={name: known[name] for name in falling if name in known},
        edges=edges,
        idle=idle,
        frozen=[name for name in names if name in frozen],
        warnings=advise(Findings(analysis, edges, ascended, idle, frozen, assumed)),
        suggestion=suggest(
            analysis,
            summands(bound),
            failing=[name for name in names if name in (*ascended, *falling)],
            frozen=frozen,
            regression=networks.regression,
            is_sound=lambda text: _is_sound(text, analysis, [*given, *unknown], frozen),
        ),
    )


def _is_sound(
    text: str,
    like: Analysis,
    coefficients: Collection[str],
    frozen: Collection[str],
) -> bool:
    """Return whether a text binds, trains nobody to fail, and is defined."""
    try:
        bound = bind(parse(text), like.members, coefficients)
    except ObjectiveError:
        return False
    found = dataclasses.replace(like, expression=bound, faults={})
    if found.ascended(frozen) or found.falling(frozen) or found.faults:
        return False
    return not any(math.isnan(slope.value) for slope in found.slopes.values())


def _numbers(coefficients: Mapping[str, Any]) -> dict[str, float]:
    """Return the coefficients that are finite numbers."""
    values = {}
    for name, given in coefficients.items():
        try:
            value = float(given)
        except (TypeError, ValueError):
            continue
        if math.isfinite(value):
            values[name] = value
    return values


def _bind(
    expression: Expression, members: tuple[str, ...], coefficients: Collection[str]
) -> tuple[Expression, list[str]]:
    """Bind; a name without a value is a coefficient unless it looks misspelt."""
    unknown: dict[str, None] = {}
    for node in expression.walk():
        if not isinstance(node, Name) or node.role == "member":
            continue
        name = node.identifier
        if name in members or name in coefficients:
            continue
        alike = difflib.get_close_matches(name, members, n=1, cutoff=0.8)
        misspelt = alike and alike[0] not in name
        if node.role == "coefficient" or not misspelt:
            unknown[name] = None
    return bind(expression, members, [*coefficients, *unknown]), list(unknown)


def _edges(analysis: Analysis) -> list[EdgeInfo]:
    return [
        EdgeInfo(
            source=source.member,
            learner=edge.learner.member,
            term=str(term),
            weight=slope.symbol,
            weight_value=slope.value,
            detached=term.option("detach", True) is not False,
        )
        for term, slope in analysis.terms.items()
        if not slope.is_absent
        for edge in reach.edges(term)
        for source in edge.sources
    ]


def _idle(analysis: Analysis, edges: list[EdgeInfo]) -> list[str]:
    named = {end for edge in edges for end in (edge.source, edge.learner)}
    return [
        name
        for name, slope in analysis.slopes.items()
        if slope.is_absent and name not in named and name not in analysis.read
    ]
