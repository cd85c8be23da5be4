"""What figures draw, as plain tables: pure functions of frames and lists.

Plotly, matplotlib and the page draw what these return, and so the same numbers.
"""

from coloss.report.prepare.conflicts import conflict_matrix, cosines_over_time
from coloss.report.prepare.curves import (
    as_history,
    coefficient_curves,
    learning_curves,
    metric_names,
    stacked_terms,
)
from coloss.report.prepare.outcomes import (
    calibration_error,
    confusion,
    probabilities_of,
    reliability,
    scores,
)
from coloss.report.prepare.rows import class_counts
from coloss.report.prepare.studies import arm_curves, at_points, forest
from coloss.report.prepare.teaching import Diagram, Link, Node, teaching

__all__ = [
    "Diagram",
    "Link",
    "Node",
    "arm_curves",
    "as_history",
    "at_points",
    "calibration_error",
    "class_counts",
    "coefficient_curves",
    "conflict_matrix",
    "confusion",
    "cosines_over_time",
    "forest",
    "learning_curves",
    "metric_names",
    "probabilities_of",
    "reliability",
    "scores",
    "stacked_terms",
    "teaching",
]
