"""What all plotly figures have in common."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from coloss.report.style import NEUTRAL

_GRID = "rgba(128, 136, 150, 0.28)"
_AXIS = {
    "gridcolor": _GRID,
    "zerolinecolor": NEUTRAL,
    "linecolor": NEUTRAL,
    "automargin": True,
    "title": {"standoff": 8},
}


def plain(text: object) -> str:
    """Return text as plotly shows it letter by letter: it reads some HTML."""
    # `$...$` would be a formula for MathJax, where a notebook has it.
    return html.escape(str(text), quote=False).replace("$", "&#36;")


def short(text: object, longest: int = 42) -> str:
    """Return a name for a legend: the end of a long one is left out."""
    found = str(text)
    cut = len(found) > longest
    return plain(f"{found[: longest - 1]}\u2026" if cut else found)


def figure(x: str, y: str, **layout: object) -> go.Figure:
    """Return an empty figure on a transparent ground, legend below.

    Args:
        x: title of the x axis.
        y: title of the y axis.
        layout: further settings of the layout.
    """
    found = go.Figure()
    found.update_layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": NEUTRAL},
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
        height=320,
        showlegend=True,  # Also of one series: its name is nowhere else.
        hovermode="closest",
        hoverlabel={"bgcolor": "#1C2430", "font": {"color": "#FFFFFF"}},
        # At the lower end of the whole figure, whatever the axis needs above it.
        legend={
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        xaxis=_AXIS | {"title": {"text": plain(x), "standoff": 8}, "zeroline": False},
        yaxis=_AXIS | {"title": {"text": plain(y), "standoff": 8}},
    )
    return found.update_layout(**layout)
