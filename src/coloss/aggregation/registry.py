"""Aggregators by name."""

from __future__ import annotations

from coloss.aggregation.alignedmtl import AlignedMTL
from coloss.aggregation.base import Aggregator
from coloss.aggregation.cagrad import CAGrad
from coloss.aggregation.dualproj import DualProj
from coloss.aggregation.gradvac import GradVac
from coloss.aggregation.imtlg import IMTLG
from coloss.aggregation.mean import Mean
from coloss.aggregation.mgda import MGDA
from coloss.aggregation.nashmtl import NashMTL
from coloss.aggregation.pcd import PCD
from coloss.aggregation.pcgrad import PCGrad
from coloss.aggregation.random import Random
from coloss.aggregation.sum import Sum
from coloss.aggregation.upgrad import UPGrad
from coloss.registry import Registry

AGGREGATORS: Registry[Aggregator] = Registry(
    argument="aggregator",
    key="aggregator",
    module="coloss.aggregation",
    base=Aggregator,  # type: ignore[type-abstract]
    classes={
        "AlignedMTL": AlignedMTL,
        "CAGrad": CAGrad,
        "DualProj": DualProj,
        "GradVac": GradVac,
        "IMTLG": IMTLG,
        "MGDA": MGDA,
        "Mean": Mean,
        "NashMTL": NashMTL,
        "PCD": PCD,
        "PCGrad": PCGrad,
        "Random": Random,
        "Sum": Sum,
        "UPGrad": UPGrad,
    },
)
"""All methods by class name; a new one is added here."""

get = AGGREGATORS.resolve
to_config = AGGREGATORS.to_config
from_config = AGGREGATORS.from_config
