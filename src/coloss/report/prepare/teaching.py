"""Who teaches whom: the places of the networks, and the links between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from coloss.report.prepare.rows import Flow

THINNEST, THICKEST = 1.5, 11.0
"""Widths of the links, in points."""


@dataclass(frozen=True)
class Node:
    """A network in the drawing.

    Attributes:
        name: the member.
        x: from -1 (left) to 1.
        y: from -1 (bottom) to 1.
        main: whether it is the main network.
        state: "trained", "frozen", "idle", or "trained to fail".
    """

    name: str
    x: float
    y: float
    main: bool
    state: str


@dataclass(frozen=True)
class Link:
    """One network teaching another, by all terms together.

    Attributes:
        source: the member that teaches.
        learner: the member that learns; the source itself for self-training.
        terms: the transfer terms, as text.
        flow: norm of the terms' gradients at the learner, added up; NaN: not measured.
        cosine: the least cosine between one of them and the learner's own loss; NaN:
            not measured.
        pushed: whether a weight is negative: the learner is pushed away.
        width: of the line, in points.
    """

    source: str
    learner: str
    terms: tuple[str, ...]
    flow: float
    cosine: float
    pushed: bool
    width: float


@dataclass(frozen=True)
class Diagram:
    """Nodes and links; `measured` tells whether the widths are gradient flow."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    measured: bool


def teaching(
    explanation: Mapping[str, Any], main: str | None = None, flow: Flow | None = None
) -> Diagram:
    """Return who teaches whom.

    Args:
        explanation: `Explanation.to_dict()`; `values`, `edges`, `frozen`, `idle` and
            `ascended` are read.
        main: the main network; it stands on the right.
        flow: one row an edge and measurement, as `GradientFlow.frame` has; the mean
            over all epochs gives the widths. None: the gradient norms on one batch
            in the explanation's own `flow`, if it has them.

    Returns:
        Widths are linear in the flow, from `THINNEST` to `THICKEST`; without any flow
        all are equal.
    """
    members = list(explanation["values"])
    edges = explanation["edges"]
    measured = _measured(flow)
    if not measured and explanation.get("flow"):
        measured = {
            (term, learner): (norm, math.nan)
            for term, norms in explanation["flow"].items()
            for learner, norm in norms.items()
        }
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for edge in edges:
        pairs.setdefault((edge["source"], edge["learner"]), []).append(edge)
    found = {pair: _strength(pair, of, measured) for pair, of in pairs.items()}
    flows = [value for value, _ in found.values() if math.isfinite(value)]
    largest = max(flows, default=0.0)
    links = tuple(
        Link(
            source=source,
            learner=learner,
            terms=tuple(dict.fromkeys(edge["term"] for edge in of)),
            flow=found[source, learner][0],
            cosine=found[source, learner][1],
            pushed=any((edge["weight_value"] or 0) < 0 for edge in of),
            width=_width(found[source, learner][0], largest),
        )
        for (source, learner), of in pairs.items()
    )
    states = {name: _state(name, explanation) for name in members}
    return Diagram(_placed(members, main, states), links, bool(flows))


def _measured(flow: Flow | None) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the mean norm and cosine by summand and learner."""
    if flow is None:
        return {}
    rows = flow if isinstance(flow, pd.DataFrame) else pd.DataFrame(list(flow))
    if rows.empty:
        return {}
    means = rows.groupby(["term", "learner"], sort=False)[["norm", "cosine"]].mean()
    return {
        (str(term), str(learner)): (float(norm), float(cosine))
        for (term, learner), norm, cosine in means.itertuples(name=None)
    }


def _strength(
    pair: tuple[str, str],
    edges: Sequence[Mapping[str, Any]],
    measured: Mapping[tuple[str, str], tuple[float, float]],
) -> tuple[float, float]:
    """Return the flow of a pair's summands, and their least cosine.

    A summand is measured as a whole; it belongs to the edge whose term is in it, and
    counts in full for each source of a term that has several.
    """
    learner = pair[1]
    terms = dict.fromkeys(edge["term"] for edge in edges)
    of = [
        value
        for (summand, who), value in measured.items()
        if who == learner and any(term in summand for term in terms)
    ]
    norms = [norm for norm, _ in of if math.isfinite(norm)]
    cosines = [cosine for _, cosine in of if math.isfinite(cosine)]
    return (
        sum(norms) if norms else math.nan,
        min(cosines, default=math.nan),
    )


def _width(flow: float, largest: float) -> float:
    if not math.isfinite(flow) or largest <= 0:
        return THINNEST if largest > 0 else 3.0
    return THINNEST + (THICKEST - THINNEST) * flow / largest


def _state(name: str, explanation: Mapping[str, Any]) -> str:
    for state, members in (
        ("frozen", explanation.get("frozen")),
        ("idle", explanation.get("idle")),
        ("trained to fail", explanation.get("ascended")),
    ):
        if name in (members or ()):
            return state
    return "trained"


def _placed(
    members: Iterable[str], main: str | None, states: Mapping[str, str]
) -> tuple[Node, ...]:
    """Place the members on a circle, the main network on the right."""
    order = sorted(members, key=lambda name: name != main)
    angles = 2 * np.pi * np.arange(len(order)) / max(len(order), 1)
    return tuple(
        Node(
            name,
            round(float(np.cos(angle)), 6),
            round(float(np.sin(angle)), 6),
            name == main,
            states[name],
        )
        for name, angle in zip(order, angles, strict=True)
    )
