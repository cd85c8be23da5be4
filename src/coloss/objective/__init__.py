"""What is minimized: the objective language. Knows no network and imports no Keras."""

from coloss.objective.errors import DataWarning, ObjectiveError, ObjectiveWarning
from coloss.objective.explanation import EdgeInfo, Explanation
from coloss.objective.expression import Expression, coefficient, loss
from coloss.objective.functions import FUNCTIONS, TRANSFER_TERMS
from coloss.objective.objective import Objective, explain
from coloss.objective.parser import parse

__all__ = [
    "FUNCTIONS",
    "TRANSFER_TERMS",
    "DataWarning",
    "EdgeInfo",
    "Explanation",
    "Expression",
    "Objective",
    "ObjectiveError",
    "ObjectiveWarning",
    "coefficient",
    "explain",
    "loss",
    "parse",
]
