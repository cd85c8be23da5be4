"""Colors, lines and marks that all figures share.

Every color of a series has a contrast of at least 3:1 with the light and with the
dark background (WCAG 2.2, 1.4.11), so that a figure is drawn once for both. Series
differ by mark, too, not by color alone.
"""

from __future__ import annotations

from collections.abc import Iterable

SERIES = (
    "#0E8A80",
    "#C0741A",
    "#3B78C9",
    "#C2527A",
    "#5F8F2F",
    "#8A66CC",
    "#B5563C",
    "#6B7A8F",
)
LIGHT, DARK = "#FBF9F4", "#14181F"
"""The backgrounds of the page."""

NEUTRAL, GAIN, HARM = "#6B7A8F", "#0E8A80", "#B5563C"
"""Of what says nothing, of what is good for a network, and of what harms it."""

VERDICTS = {
    # verdict: (color, plotly's mark, matplotlib's mark)
    "gained": (GAIN, "diamond", "D"),
    "no evidence": (NEUTRAL, "circle-open", "o"),
    "harmed": (HARM, "x", "X"),
}
"""How each verdict of a study is drawn."""

MARKS = (
    # (plotly, matplotlib)
    ("circle", "o"),
    ("square", "s"),
    ("diamond", "D"),
    ("triangle-up", "^"),
    ("x", "X"),
    ("cross", "P"),
    ("star", "*"),
    ("triangle-down", "v"),
)


def colors(names: Iterable[str]) -> dict[str, str]:
    """Return a color for each name, in order; from the ninth on they repeat."""
    unique = dict.fromkeys(names)
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(unique)}


def marks(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return a mark for each name, as plotly and as matplotlib name it."""
    unique = dict.fromkeys(names)
    return {name: MARKS[i % len(MARKS)] for i, name in enumerate(unique)}
