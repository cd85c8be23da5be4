"""Dataclasses: frozen but for a few, so that values that travel stay as they are."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import coloss

ROOMS = (
    "aggregation",
    "joint.balance",
    "joint.supervision",
    "joint.values",
    "objective",
    "transfer",
    "weighting",
)

CHANGING = {
    "coloss.joint.balance.gradient_basis.GradientBasis",
    "coloss.joint.balance.gradient_basis._Element",
    "coloss.joint.balance.weighers.EqualWeights",
    "coloss.objective.dual.Point",
    "coloss.objective.suggestion._Repair",
}
"""What is filled while it is worked on."""

BY_IDENTITY = {
    "coloss.joint.supervision.labels.Labels",
    "coloss.joint.supervision.positions.Positions",
    "coloss.objective.rows.Atom",
    "coloss.transfer.pooling.Aligned",
}
"""What holds tensors, which are neither equal nor hashed by value."""


def classes(room: str) -> Iterator[tuple[str, type]]:
    package = importlib.import_module(f"coloss.{room}")
    modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    names = [package.__name__, *(module.name for module in modules)]
    for name in names:
        for value in vars(importlib.import_module(name)).values():
            here = isinstance(value, type) and value.__module__ == name
            if here and "__dataclass_params__" in vars(value):
                yield f"{name}.{value.__qualname__}", value


@pytest.mark.parametrize("room", ROOMS)
def test_values_are_frozen_and_equal_by_value(room: str) -> None:
    found = dict(classes(room))
    here = f"{coloss.__name__}.{room}."
    params = {name: value.__dataclass_params__ for name, value in found.items()}
    open_to_change = {name for name, given in params.items() if not given.frozen}
    assert open_to_change == {name for name in CHANGING if name.startswith(here)}
    by_identity = {name for name, given in params.items() if not given.eq}
    assert by_identity == {name for name in BY_IDENTITY if name.startswith(here)}
