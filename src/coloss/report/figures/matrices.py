"""Heat maps, with plotly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from coloss.report import prepare
from coloss.report.figures.canvas import figure, plain
from coloss.report.prepare.rows import Flow

_ONE_WAY = [[0.0, "#EDF3F1"], [1.0, "#0B5F58"]]
_TWO_WAYS = [[0.0, "#A8452C"], [0.5, "#F1EEE8"], [1.0, "#0B6F67"]]


def conflicts(
    cosines: Iterable[tuple[str, str, str, float]] | pd.DataFrame, member: str
) -> go.Figure:
    """Draw the cosines between the terms' gradients at one network.

    Args:
        cosines: `joint.explain(x, y).cosines`, or a frame with the columns `member`,
            `first`, `second`, `cosine`.
        member: the network.
    """
    return _cosines(prepare.conflict_matrix(cosines, member), "term", "term")


def cosines(flow: Flow) -> go.Figure:
    """Draw each edge's cosine with its learner's own loss over time.

    Args:
        flow: `GradientFlow.frame`, or its `table`.
    """
    return _cosines(prepare.cosines_over_time(flow), "epoch", "term at its learner")


def confusion(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]
) -> go.Figure:
    """Draw how often each class was taken for each other.

    Args:
        labels: (rows,) class indices; -1: unlabeled.
        predicted: (rows,) class indices; -1: no prediction.
        classes: the classes' names.
    """
    counts = prepare.confusion(labels, predicted, classes)
    totals = counts.sum(axis=1).to_numpy()[:, None]
    share = counts.to_numpy() / np.where(totals > 0, totals, 1)
    drawn = _heat_map(
        counts, share, counts.astype(str), "predicted class", "true class"
    )
    return drawn.update_traces(colorscale=_ONE_WAY, zmin=0, zmax=1)


def _cosines(matrix: pd.DataFrame, x: str, y: str) -> go.Figure:
    text = matrix.map(lambda v: "" if np.isnan(v) else f"{v:.2f}")
    drawn = _heat_map(matrix, matrix.to_numpy("float64"), text, x, y)
    return drawn.update_traces(colorscale=_TWO_WAYS, zmin=-1, zmax=1, zmid=0)


def _heat_map(
    table: pd.DataFrame, levels: np.ndarray, text: pd.DataFrame, x: str, y: str
) -> go.Figure:
    drawn = figure(x, y)
    shown = levels.astype(object)
    shown[~np.isfinite(levels)] = None
    drawn.add_heatmap(
        z=shown.tolist(),
        x=[plain(name) for name in table.columns],
        y=[plain(name) for name in table.index],
        text=text.to_numpy().tolist(),
        texttemplate="%{text}" if levels.shape[1] <= 25 else None,
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
        showscale=False,
        xgap=2,
        ygap=2,
    )
    drawn.update_xaxes(type="category", showgrid=False)
    drawn.update_yaxes(type="category", showgrid=False, autorange="reversed")
    return drawn.update_layout(height=max(220, 90 + 34 * len(table)))
