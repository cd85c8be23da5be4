"""Gradients that agree: from a Gramian to weights, one file a method."""

from coloss.aggregation.base import LEVELS, Aggregator
from coloss.aggregation.gramian import conflicts
from coloss.aggregation.mean import Mean
from coloss.aggregation.sum import Sum
from coloss.aggregation.upgrad import UPGrad

__all__ = ["LEVELS", "Aggregator", "Mean", "Sum", "UPGrad", "conflicts"]
