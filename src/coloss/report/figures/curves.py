"""What moves while training, with plotly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from coloss.report import prepare
from coloss.report.figures.canvas import figure, plain, short
from coloss.report.prepare.curves import History, Members
from coloss.report.style import colors, marks

_MANY = 60
"""Epochs from which on bars have no gaps."""


def learning_curves(
    history: History, members: Members, metric: str = "loss"
) -> go.Figure:
    """Draw one metric of every network: training dotted, validation solid.

    Args:
        history: a frame with one row an epoch, or what `fit` returns.
        members: the networks' names.
        metric: without a network's name, such as "accuracy".
    """
    table = prepare.learning_curves(history, members, metric)
    both = table["part"].nunique() > 1
    drawn = figure("epoch", f"{metric} (dotted: training)" if both else metric)
    color, mark = colors(members), marks(members)
    for (member, part), rows in table.groupby(["member", "part"], sort=False):
        solid = part == "validation" or not both
        drawn.add_scatter(
            x=rows["epoch"].tolist(),
            y=rows["value"].tolist(),
            name=plain(member),
            legendgroup=plain(member),
            showlegend=solid,
            hovertemplate=f"{part}, epoch %{{x}}: %{{y:.4g}}",
            mode="lines+markers" if solid else "lines",
            line={"color": color[member], "width": 2.4 if solid else 1.6}
            | ({} if solid else {"dash": "dot"}),
            marker={"symbol": mark[member][0], "size": 7, "maxdisplayed": 9},
        )
    return drawn


def terms(history: History, summands: Sequence[str]) -> go.Figure:
    """Draw the terms of the objective on top of each other, epoch by epoch.

    Args:
        history: a frame with one row an epoch, or what `fit` returns.
        summands: the history's entries of the terms. Those below 0 hang below the
            axis.
    """
    table = prepare.stacked_terms(history, summands)
    color = colors(table["term"])
    gap = 0.0 if table["epoch"].nunique() > _MANY else 0.15
    drawn = figure("epoch", "term's share of the objective", bargap=gap)
    for i, (term, rows) in enumerate(table.groupby("term", sort=False)):
        drawn.add_bar(
            x=rows["epoch"].tolist(),
            y=rows["value"].tolist(),
            base=rows["base"].tolist(),
            name=short(term),
            # A pattern tells neighbors apart without color.
            marker={
                "color": color[term],
                "line": {"width": 0},
                "pattern": {"shape": ("", "/", ".", "x")[i % 4], "size": 6},
            },
            hovertemplate="epoch %{x}: %{customdata:.4g}",
            customdata=rows["value"].tolist(),
        )
    # Every name needs a line of its own on a narrow page.
    return drawn.update_layout(barmode="overlay", height=300 + 20 * len(color))


def coefficients(history: History, names: Iterable[str] = ()) -> go.Figure:
    """Draw coefficients and adaptive weights over time.

    Args:
        history: a frame with one row an epoch, or what `fit` returns.
        names: the coefficients; adaptive weights are found by themselves.
    """
    table = prepare.coefficient_curves(history, names)
    drawn = figure("epoch", "value")
    keys = table["kind"] + " " + table["name"]
    color, mark = colors(keys), marks(keys)
    for (kind, name), rows in table.groupby(["kind", "name"], sort=False):
        key = f"{kind} {name}"
        drawn.add_scatter(
            x=rows["epoch"].tolist(),
            y=rows["value"].tolist(),
            name=short(name if kind == "coefficient" else f"weight of {name}"),
            mode="lines+markers",
            line={"color": color[key], "width": 2.2, "shape": "linear"},
            marker={"symbol": mark[key][0], "size": 7, "maxdisplayed": 9},
        )
    return drawn
