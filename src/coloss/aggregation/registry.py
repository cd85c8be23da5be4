"""Aggregators by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from coloss.objective.errors import nearest_name

AGGREGATORS: dict[str, type[Aggregator]] = {
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
}
"""All methods by class name; a new one is added here."""


def get(value: Any) -> Aggregator:
    """Return an aggregator for what a user may write.

    Args:
        value: an aggregator; a name such as `"upgrad"`, in any case; or what
            `to_config` returned.

    Raises:
        TypeError: if it is something else.
        ValueError: if no method has this name, or it needs options.
    """
    if isinstance(value, Aggregator):
        return value
    if isinstance(value, Mapping):
        return from_config(value)
    if not isinstance(value, str):
        raise TypeError(
            "`aggregator` must be one of coloss.aggregation, such as UPGrad(), or its "
            f"name; found {value!r}."
        )
    kind = _kind(value)
    if kind is PCD:
        raise ValueError(
            "`aggregator` 'PCD' needs the summand that leads: "
            'coloss.aggregation.PCD(primary="...").'
        )
    return kind()


def to_config(aggregator: Aggregator) -> dict[str, Any]:
    """Return an aggregator as what JSON can hold.

    Args:
        aggregator: one of `AGGREGATORS`.

    Raises:
        TypeError: if it is of another class, which could not be loaded.
    """
    name = type(aggregator).__name__
    if AGGREGATORS.get(name) is not type(aggregator):
        raise TypeError(
            f"aggregator {aggregator!r} cannot be saved; expected one of "
            f"{', '.join(AGGREGATORS)}."
        )
    return {"aggregator": name, **aggregator.get_config()}


def from_config(config: Mapping[str, Any]) -> Aggregator:
    """Make an aggregator from what `to_config` returned.

    Args:
        config: its name under `"aggregator"`, and its options.

    Raises:
        ValueError: if no method has this name.
    """
    rest = dict(config)
    return _kind(rest.pop("aggregator", None)).from_config(rest)


def _kind(name: Any) -> type[Aggregator]:
    folded = {known.lower(): kind for known, kind in AGGREGATORS.items()}
    plain = str(name).lower().replace("_", "").replace("-", "")
    if plain not in folded:
        close = nearest_name(plain, folded)
        meant = f"; did you mean {folded[close].__name__!r}?" if close else "."
        raise ValueError(
            f"`aggregator` must be one of {', '.join(AGGREGATORS)}; found {name!r}"
            f"{meant}"
        )
    return folded[plain]
