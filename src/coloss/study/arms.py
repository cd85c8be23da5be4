"""The arms of a study: what differs between runs, and which runs that makes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from coloss.names import nearest, unknown
from coloss.objective import Objective
from coloss.study.controls import is_control

if TYPE_CHECKING:
    from coloss.data.split import Split
    from coloss.joint import JointModel

Point: TypeAlias = tuple[tuple[tuple[str, float], ...], float | None]
"""Coefficients, (name, number) each, and a learning rate; None: the optimizer's."""

KEYS = (
    "objective",
    "coefficients",
    "weighting",
    "aggregator",
    "compile",
    "build",
    "data",
    "control",
    "labels_of",
)
"""What an arm may set for itself."""


@dataclasses.dataclass(frozen=True, eq=False)
class Arm:
    """One way to train.

    Attributes:
        name: as in the table.
        objective: its joint loss as text; None: the sum of the members' losses.
        coefficients: number, schedule, list to try, or SciPy distribution by name.
        compile: further arguments of `JointModel.compile`.
        build: returns an uncompiled joint model.
        data: a split, or a function of the seed that returns one.
        control: whether a gain of this arm did not come from the other networks.
        labels_of: the member whose labels all others have, too; None: their own.
    """

    name: str
    objective: str | None
    coefficients: Mapping[str, Any]
    compile: Mapping[str, Any]
    build: Callable[[], JointModel]
    data: Split | Callable[[int], Split]
    control: bool = False
    labels_of: str | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """One training of one arm.

    Attributes:
        arm: the arm's name.
        seed: of split, initial weights and order of rows.
        values: the coefficients that vary within the arm, (name, number) each.
        learning_rate: None: the optimizer's own.
    """

    arm: str
    seed: int
    values: tuple[tuple[str, float], ...] = ()
    learning_rate: float | None = None

    @property
    def key(self) -> str:
        """A text that no other run of the study has."""
        parts = [self.arm, *(f"{name}={value!r}" for name, value in self.values)]
        if self.learning_rate is not None:
            parts.append(f"learning_rate={self.learning_rate!r}")
        return " | ".join([*parts, f"seed={self.seed}"])


def read_arms(
    given: object,
    build: Callable[[], JointModel],
    data: Split | Callable[[int], Split],
    compile: Mapping[str, Any],
    coefficients: Mapping[str, Any],
) -> dict[str, Arm]:
    """Return the arms by name, each complete.

    Args:
        given: objective (text, tree or `Objective`) or dict of what differs, by name.
        build: of arms without their own.
        data: of arms without their own.
        compile: arguments of all arms; an arm's own come on top.
        coefficients: for every arm whose objective names them.

    Raises:
        TypeError: if an arm is neither an objective nor a dict.
        ValueError: for no arm, an unknown key, or a coefficient that no arm has.
    """
    if not isinstance(given, Mapping) or not given:
        raise ValueError(
            "`arms` must map names to objectives, such as "
            f'{{"alone": "acoustic", "taught": "..."}}; found {given!r}.'
        )
    arms = {}
    for name, what in given.items():
        own = _own(name, what)
        objective = own.get("objective", compile.get("objective"))
        text = None if objective is None else str(Objective(objective))
        named = _names(text)
        shared = {key: v for key, v in coefficients.items() if key in named}
        arguments = {**compile, **own.get("compile", {})}
        for key in ("weighting", "aggregator"):
            if key in own:
                arguments[key] = own[key]
        arguments.pop("objective", None)
        arms[str(name)] = Arm(
            str(name),
            text,
            {**shared, **own.get("coefficients", {})},
            arguments,
            own.get("build", build),
            own.get("data", data),
            bool(own.get("control", is_control(text))),
            own.get("labels_of"),
        )
    _check_used(coefficients, arms)
    return arms


def _own(name: object, what: object) -> dict[str, Any]:
    if not isinstance(what, Mapping):
        if what is not None and not isinstance(what, str) and callable(what):
            raise TypeError(
                f"arm {name!r} must be an objective or a dict; found a function."
            )
        return {"objective": what}
    for key in what:
        if key not in KEYS:
            raise ValueError(f"arm {name!r}: {unknown('key', key, KEYS)}.")
    return dict(what)


def _names(objective: str | None) -> frozenset[str]:
    return frozenset() if objective is None else frozenset(Objective(objective).names)


def _check_used(coefficients: Mapping[str, Any], arms: Mapping[str, Arm]) -> None:
    every = frozenset().union(*(_names(arm.objective) for arm in arms.values()))
    for name in coefficients:
        if name not in every:
            raise ValueError(
                f"coefficient {name!r} is in no arm's objective"
                f"{nearest(name, every) or '.'}"
            )


def spread(
    arm: Arm,
    seeds: Sequence[int],
    learning_rates: Sequence[float] | None,
    samples: int | None,
) -> list[Run]:
    """Return the runs of an arm: its grid, once a seed.

    Lists are tried in every combination. Where a coefficient is a distribution,
    `samples` points are drawn, the same whatever the arm is called.

    Args:
        arm: the arm.
        seeds: of the runs.
        learning_rates: to try; None: the optimizer's own.
        samples: points to draw; needed for distributions.

    Raises:
        ValueError: for an empty list, or a distribution without `samples`.
    """
    points = grid(arm.coefficients, samples)
    rates = [None] if learning_rates is None else [float(r) for r in learning_rates]
    return [
        Run(arm.name, int(seed), point, rate)
        for rate in rates
        for point in points
        for seed in seeds
    ]


def grid(
    coefficients: Mapping[str, Any], samples: int | None
) -> list[tuple[tuple[str, float], ...]]:
    """Return the points of a grid, each as (name, number) pairs.

    Args:
        coefficients: those that are lists or distributions vary; others are left out.
        samples: points to draw where there is a distribution.
    """
    lists = {n: list(v) for n, v in coefficients.items() if is_list(v)}
    drawn = {n: v for n, v in coefficients.items() if hasattr(v, "rvs")}
    for name, values in lists.items():
        if not values or not all(_is_finite(value) for value in values):
            raise ValueError(
                f"coefficient {name!r}: expected a list of numbers; found {values!r}."
            )
    if not drawn:
        columns = [[(n, float(v)) for v in values] for n, values in lists.items()]
        return [tuple(point) for point in itertools.product(*columns)]
    if not samples or samples < 1:
        raise ValueError(
            f"coefficient {next(iter(drawn))!r} is a distribution; `samples` must say "
            f"how many points to draw from it, found {samples!r}."
        )
    random = np.random.default_rng(0)
    points = []
    for _ in range(samples):
        point = [(n, float(random.choice(v))) for n, v in lists.items()]
        point += [(n, float(d.rvs(random_state=random))) for n, d in drawn.items()]
        points.append(tuple(point))
    return points


def fixed(coefficients: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every coefficient; those that vary get their first one."""
    first = dict(grid(coefficients, 1)[0])
    return {name: first.get(name, value) for name, value in coefficients.items()}


def is_list(value: object) -> TypeGuard[Sequence[float]]:
    """Return whether a coefficient is a list of values to try."""
    return isinstance(value, list | tuple | np.ndarray)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value)
