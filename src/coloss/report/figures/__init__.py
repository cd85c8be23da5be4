"""The figures of the report, for notebooks: one pure function a figure.

Each takes frames and returns a `plotly.graph_objects.Figure`; `teaching` returns an
SVG, which reads well on paper and aloud. `coloss.report.papers` draws the same with
matplotlib.
"""

from coloss.report.figures.curves import coefficients, learning_curves, terms
from coloss.report.figures.matrices import conflicts, confusion, cosines
from coloss.report.figures.outcomes import calibration, data_summary, predictions
from coloss.report.figures.studies import arm_curves, forest
from coloss.report.figures.teaching import Drawing, teaching

__all__ = [
    "Drawing",
    "arm_curves",
    "calibration",
    "coefficients",
    "conflicts",
    "confusion",
    "cosines",
    "data_summary",
    "forest",
    "learning_curves",
    "predictions",
    "teaching",
    "terms",
]
