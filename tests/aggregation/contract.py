"""The one list of aggregators: a new one is added here and inherits every check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torchjd.aggregation import (
    AlignedMTLWeighting,
    IMTLGWeighting,
    MeanWeighting,
    PCDWeighting,
    SumWeighting,
)

from coloss.aggregation import (
    IMTLG,
    MGDA,
    PCD,
    Aggregator,
    AlignedMTL,
    CAGrad,
    DualProj,
    GradVac,
    Mean,
    NashMTL,
    PCGrad,
    Random,
    Sum,
    UPGrad,
)
from tests.aggregation import gramians, references
from tests.aggregation.references import weighed


def longest(gradients: Any, weights: Any) -> float:
    return np.linalg.norm(gradients, axis=1).max()


def shortest(gradients: Any, weights: Any) -> float:
    return np.linalg.norm(gradients, axis=1).min()


def primary(gradients: Any, weights: Any) -> float:
    return np.linalg.norm(gradients[0])


def weighted(gradients: Any, weights: Any) -> float:
    return np.sum(np.abs(weights) * np.linalg.norm(gradients, axis=1))


def root_of_number(gradients: Any, weights: Any) -> float:
    return len(gradients) ** 0.5


@dataclass(frozen=True)
class Case:
    """One method and what it is held against.

    Args:
        method: with options that are not the defaults, where there are any.
        alone: the weight of a single gradient of length 2.
        reference: float64 gradients -> weights; None: chance, tested elsewhere.
        kinds: of gradients that the docstring's tolerance covers.
        unit: of the error of the combined gradient.
        tolerance: the docstring's.
        claims: what the paper claims; see `test_properties`.
    """

    method: Aggregator
    alone: float = 1.0
    reference: Callable[..., Any] | None = None
    kinds: tuple[Any, ...] = gramians.ALL
    unit: Callable[..., float] = longest
    tolerance: float = 2e-3
    claims: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return type(self.method).__name__

    def seed(self) -> int | None:
        return 5 if self.method.draws else None


CASES = [
    Case(Sum(), 1.0, lambda g: weighed(SumWeighting(), g), tolerance=1e-6),
    Case(
        Mean(),
        1.0,
        lambda g: weighed(MeanWeighting(), g),
        tolerance=1e-6,
        claims=("hull", "linear"),
    ),
    Case(Random(), claims=("hull",)),
    Case(
        MGDA(),
        reference=references.mgda,
        unit=shortest,
        claims=("hull", "agrees", "stationary"),
    ),
    Case(PCGrad()),
    Case(GradVac(beta=0.25)),
    Case(
        IMTLG(),
        reference=lambda g: weighed(IMTLGWeighting(), g),
        kinds=(*gramians.EVEN, gramians.uneven),
        unit=weighted,
        tolerance=1e-3,
    ),
    Case(
        CAGrad(c=0.4),
        1.4,
        lambda g: references.cagrad(g, 0.4),
        tolerance=5e-3,
    ),
    Case(
        NashMTL(max_norm=0.0),
        0.5,
        references.nash,
        unit=root_of_number,
        tolerance=5e-3,
        claims=("scale-free",),
    ),
    Case(
        AlignedMTL(),
        reference=lambda g: weighed(AlignedMTLWeighting(), g),
        kinds=(*gramians.EVEN, gramians.full),
        tolerance=1e-3,
    ),
    Case(
        DualProj(),
        reference=references.dualproj,
        claims=("agrees", "stationary"),
    ),
    Case(
        UPGrad(),
        reference=references.upgrad,
        claims=("agrees", "stationary", "linear"),
    ),
    Case(
        PCD(primary=0, tau=0.05, beta=0.9),
        reference=lambda g: weighed(PCDWeighting(tau=0.05, beta=0.9), g),
        unit=primary,
        tolerance=5e-3,
        claims=("primary",),
    ),
]


def claiming(what: str) -> list[Case]:
    return [case for case in CASES if what in case.claims]


def name_of(case: Case) -> str:
    return case.name
