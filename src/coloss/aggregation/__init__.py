"""Gradients that agree: from a Gramian to weights, one file a method."""

from coloss.aggregation.alignedmtl import AlignedMTL
from coloss.aggregation.base import LEVELS, Aggregator
from coloss.aggregation.cagrad import CAGrad
from coloss.aggregation.dualproj import DualProj
from coloss.aggregation.gradvac import GradVac
from coloss.aggregation.gramian import conflicts
from coloss.aggregation.imtlg import IMTLG
from coloss.aggregation.mean import Mean
from coloss.aggregation.mgda import MGDA
from coloss.aggregation.nashmtl import NashMTL
from coloss.aggregation.pcd import PCD
from coloss.aggregation.pcgrad import PCGrad
from coloss.aggregation.random import Random
from coloss.aggregation.registry import AGGREGATORS, from_config, get, to_config
from coloss.aggregation.sum import Sum
from coloss.aggregation.upgrad import UPGrad

__all__ = [
    "AGGREGATORS",
    "IMTLG",
    "LEVELS",
    "MGDA",
    "PCD",
    "Aggregator",
    "AlignedMTL",
    "CAGrad",
    "DualProj",
    "GradVac",
    "Mean",
    "NashMTL",
    "PCGrad",
    "Random",
    "Sum",
    "UPGrad",
    "conflicts",
    "from_config",
    "get",
    "to_config",
]
