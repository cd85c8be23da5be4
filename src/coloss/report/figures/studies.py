"""What a study found, with plotly."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from coloss.report import prepare
from coloss.report.figures.canvas import figure, plain
from coloss.report.style import NEUTRAL, VERDICTS, colors


def forest(compared: pd.DataFrame, metric: str = "") -> go.Figure:
    """Draw the gain of each arm over the baseline, with its interval.

    Args:
        compared: `StudyResult.compare()`.
        metric: its name, for the axis.
    """
    table = prepare.forest(compared)
    drawn = figure(f"gain in {metric}" if metric else "gain", "")
    for verdict, (color, mark, _) in VERDICTS.items():
        rows = table[table["verdict"] == verdict]
        if rows.empty:
            continue
        drawn.add_scatter(
            x=rows["gain"].tolist(),
            y=[plain(arm) for arm in rows["arm"]],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (rows["high"] - rows["gain"]).tolist(),
                "arrayminus": (rows["gain"] - rows["low"]).tolist(),
                "color": color,
                "thickness": 2.2,
                "width": 6,
            },
            mode="markers",
            name=verdict,
            marker={
                "color": color,
                "symbol": mark,
                "size": 11,
                "line": {"width": 2, "color": color},
            },
        )
    drawn.add_vline(x=0, line={"color": NEUTRAL, "dash": "dash", "width": 1.6})
    drawn.update_yaxes(
        categoryorder="array",
        categoryarray=[plain(arm) for arm in table["arm"]],
        autorange="reversed",
    )
    return drawn.update_layout(height=150 + 44 * len(table))


def arm_curves(history: pd.DataFrame, entry: str) -> go.Figure:
    """Draw an entry of the history: the mean of each arm's runs and their spread.

    Args:
        history: `StudyResult.history`.
        entry: such as "val_acoustic_accuracy".
    """
    table = prepare.arm_curves(history, entry)
    drawn = figure("epoch", entry)
    color = colors(table["arm"])
    for arm, rows in table.groupby("arm", sort=False):
        epochs = rows["epoch"].tolist()
        drawn.add_scatter(
            x=[*epochs, *epochs[::-1]],
            y=[*rows["high"], *rows["low"][::-1]],
            fill="toself",
            mode="lines",
            line={"width": 0, "color": color[arm]},
            opacity=0.3,
            hoverinfo="skip",
            showlegend=False,
        )
        drawn.add_scatter(
            x=epochs,
            y=rows["mean"].tolist(),
            name=plain(arm),
            mode="lines",
            line={"color": color[arm], "width": 2.4},
        )
    return drawn
