"""What was learned, and from what, with plotly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from coloss.report import prepare
from coloss.report.figures.canvas import figure, plain, short
from coloss.report.style import NEUTRAL, SERIES, colors


def calibration(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 10
) -> go.Figure:
    """Draw a reliability diagram: how often predictions of each confidence are right.

    Bars on the diagonal are well calibrated; below it, the network is too sure.

    Args:
        labels: (rows,) class indices; -1: unlabeled.
        probabilities: (rows, classes).
        bins: of the confidence, equally wide.
    """
    table = prepare.reliability(labels, probabilities, bins)
    found = table[table["rows"] > 0]
    drawn = figure("confidence", "accuracy")
    drawn.add_bar(
        x=((found["low"] + found["high"]) / 2).tolist(),
        y=found["accuracy"].tolist(),
        width=(0.92 * (found["high"] - found["low"])).tolist(),
        customdata=found[["rows", "confidence"]].to_numpy().tolist(),
        name="accuracy",
        marker={"color": SERIES[0]},
        hovertemplate="confidence %{customdata[1]:.2f}, accuracy %{y:.2f}, "
        "rows: %{customdata[0]:.0f}",
    )
    drawn.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="perfectly calibrated",
        line={"color": NEUTRAL, "dash": "dash", "width": 1.6},
    )
    # At a bar's mean confidence: where it would end if it were calibrated.
    drawn.add_scatter(
        x=found["confidence"].tolist(),
        y=found["confidence"].tolist(),
        mode="markers",
        name="mean confidence",
        marker={"color": SERIES[1], "symbol": "diamond", "size": 9},
        hovertemplate="mean confidence %{y:.2f}",
    )
    drawn.update_xaxes(range=[0, 1])
    return drawn.update_yaxes(range=[0, 1.02])


def predictions(
    labels: Sequence[float] | np.ndarray, predicted: Sequence[float] | np.ndarray
) -> go.Figure:
    """Draw predicted numbers against true ones, of a network without classes.

    Args:
        labels: (rows,) numbers.
        predicted: (rows,) numbers.
    """
    drawn = figure("true", "predicted")
    true = [float(value) for value in labels]
    known = [value for value in true if value == value]
    ends = [min(known), max(known)] if known else []
    drawn.add_scatter(
        x=true,
        y=[float(value) for value in predicted],
        mode="markers",
        name="a row",
        marker={"color": SERIES[0], "size": 6, "opacity": 0.6},
    )
    return drawn.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        name="equal",
        line={"color": NEUTRAL, "dash": "dash", "width": 1.6},
    )


def data_summary(data: Mapping[str, Any]) -> go.Figure:
    """Draw how many rows of each class each split has.

    Args:
        data: `rows`, `labeled` and `class_counts` by split; see
            `prepare.class_counts`.
    """
    table = prepare.class_counts(data)
    # Lying down: names of classes may be long.
    drawn = figure("rows", "", barmode="group", bargap=0.25)
    color = colors(table["split"])
    for i, (split, rows) in enumerate(table.groupby("split", sort=False)):
        drawn.add_bar(
            x=rows["rows"].tolist(),
            y=[short(name, 18) for name in rows["class"]],
            orientation="h",
            name=plain(split),
            marker={
                "color": color[split],
                "line": {"width": 0},
                "pattern": {"shape": ("", "/", ".", "x")[i % 4], "size": 6},
            },
        )
    drawn.update_yaxes(type="category", autorange="reversed")
    many = table["class"].nunique() * table["split"].nunique()
    return drawn.update_layout(height=140 + 15 * max(many, 8))
