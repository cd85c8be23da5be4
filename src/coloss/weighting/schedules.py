"""Coefficients that move with the epoch. No Keras is imported here.

A schedule is called with the epoch, from 0, and returns a number.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeGuard, runtime_checkable

from coloss.checking import COUNT, FINITE, FROM_0, Rules
from coloss.names import counted
from coloss.objective.words import Range
from coloss.registry import Configured


@runtime_checkable
class Schedule(Protocol):
    """A function of the epoch that can be saved."""

    def __call__(self, epoch: int) -> float:
        """Return the value at an epoch, from 0."""
        ...

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal schedule."""
        ...


@dataclass(frozen=True)
class _Moving(Configured):
    """Between two values in some epochs."""

    start: float
    stop: float
    epochs: int

    rules: ClassVar[Rules] = {
        "start": FINITE,
        "stop": FINITE,
        "epochs": COUNT,
    }


@dataclass(frozen=True)
class Ramp(_Moving):
    """A straight line: `start` until `delay`, `stop` from `delay + epochs` on.

    Args:
        start: value at first, finite.
        stop: value in the end, finite.
        epochs: length of the line, at least 1.
        delay: number of epochs before the line begins.

    Raises:
        TypeError: if a value is of another kind.
        ValueError: if a value is not finite or out of range.

    Examples:
        >>> ramp = Ramp(0, 1, epochs=10)
        >>> ramp(0), ramp(5), ramp(10), ramp(99)
        (0.0, 0.5, 1.0, 1.0)
    """

    delay: int = 0

    rules: ClassVar[Rules] = {
        **_Moving.rules,
        "delay": FROM_0,
    }

    def __call__(self, epoch: int) -> float:
        """Return the value at an epoch, from 0."""
        return _between(self.start, self.stop, (epoch - self.delay) / self.epochs)


@dataclass(frozen=True)
class Cosine(_Moving):
    """Half a cosine from `start` at epoch 0 to `stop` at epoch `epochs`.

    Args:
        start: value at first, finite.
        stop: value in the end, finite.
        epochs: length of the way, at least 1.

    Raises:
        TypeError: if a value is of another kind.
        ValueError: if a value is not finite or out of range.

    Examples:
        >>> Cosine(1, 0, epochs=10)(10)
        0.0
    """

    def __call__(self, epoch: int) -> float:
        """Return the value at an epoch, from 0."""
        way = min(1.0, max(0.0, epoch / self.epochs))
        return _between(self.start, self.stop, (1.0 - math.cos(math.pi * way)) / 2.0)


@dataclass(frozen=True)
class Steps(Configured):
    """Constant pieces.

    Args:
        at: value by the epoch from which it holds, `{0: 1.0, 20: 0.1}`; or the
            epochs alone, in rising order.
        values: with epochs alone, the values: one more than epochs, for the first
            holds before the first epoch.

    Raises:
        TypeError: if a value is of another kind.
        ValueError: if epochs do not rise, or the numbers of both do not fit.

    Examples:
        >>> steps = Steps({0: 1.0, 20: 0.1})
        >>> steps(19), steps(20)
        (1.0, 0.1)
        >>> steps == Steps([20], [1.0, 0.1])
        True
    """

    at: Any
    values: Any = None

    def __post_init__(self) -> None:
        """Bring both spellings to boundaries and values."""
        at, values = self.at, self.values
        if isinstance(at, Mapping):
            at, values = _from_mapping(at, values)
        if not _is_list(at) or not _is_list(values):
            raise TypeError(
                "Steps takes a dict, value by epoch: Steps({0: 1.0, 20: 0.1}), or two "
                f"lists: Steps([20], [1.0, 0.1]); found {self.at!r}, {self.values!r}."
            )
        bounds = tuple(COUNT.integer("an epoch of Steps", epoch) for epoch in at)
        numbers_ = tuple(FINITE.number("a value of Steps", value) for value in values)
        if len(numbers_) != len(bounds) + 1:
            raise ValueError(
                "`values` of Steps must be one more than the epochs; found "
                f"{counted(len(numbers_), 'value')} and "
                f"{counted(len(bounds), 'epoch')}."
            )
        if list(bounds) != sorted(set(bounds)):
            raise ValueError(f"the epochs of Steps must rise; found {list(bounds)}.")
        object.__setattr__(self, "at", bounds)
        object.__setattr__(self, "values", numbers_)

    def __call__(self, epoch: int) -> float:
        """Return the value at an epoch, from 0."""
        value: float = self.values[sum(epoch >= bound for bound in self.at)]
        return value

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal schedule."""
        return {"at": list(self.at), "values": list(self.values)}


SCHEDULES: dict[str, Any] = {"Ramp": Ramp, "Cosine": Cosine, "Steps": Steps}
"""What can be saved, by class name; a new schedule is added here."""


def to_config(value: Any, name: str) -> float | dict[str, Any]:
    """Return a number or schedule as what JSON can hold.

    Args:
        value: a number, or a schedule of this module.
        name: the coefficient's name, for the message.

    Returns:
        The number, or a dict with the key `"schedule"`.

    Raises:
        TypeError: if it is another callable, which cannot be saved.
    """
    if isinstance(value, numbers.Real):
        return FINITE.number(f"coefficient {name!r}", value)
    found = type(value).__name__
    if SCHEDULES.get(found) is type(value):
        return {"schedule": found, **value.get_config()}
    raise TypeError(
        f"coefficient {name!r} cannot be saved: {value!r} is neither a number nor one "
        f"of {', '.join(SCHEDULES)}. Write it as one of these, or save the "
        "members alone."
    )


def from_config(config: object, name: str) -> float | Schedule:
    """Make a number or schedule from what `to_config` returned.

    Args:
        config: a number, or a dict with the key `"schedule"`.
        name: the coefficient's name, for the message.

    Returns:
        The number or the schedule.

    Raises:
        ValueError: if no schedule has this name.
    """
    if isinstance(config, numbers.Real):
        return FINITE.number(f"coefficient {name!r}", config)
    rest = dict(config) if isinstance(config, Mapping) else {}
    kind = rest.pop("schedule", None)
    if kind not in SCHEDULES:
        raise ValueError(
            f"coefficient {name!r}: expected a number or a schedule, one of "
            f"{', '.join(SCHEDULES)}; found {config!r}."
        )
    return SCHEDULES[kind].from_config(rest)


def value_at(value: object, epoch: int, name: str) -> float:
    """Return the number that a coefficient has at an epoch.

    Args:
        value: a number, or a callable of the epoch.
        epoch: from 0.
        name: the coefficient's name, for the message.

    Returns:
        A finite number.

    Raises:
        TypeError: if it is no number and returns none.
        ValueError: if the number is not finite.
    """
    found = value(epoch) if callable(value) else value
    return FINITE.number(f"coefficient {name!r} at epoch {epoch}", found)


def _between(start: float, stop: float, way: float) -> float:
    if way <= 0.0:
        return start
    return stop if way >= 1.0 else start + (stop - start) * way


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _from_mapping(
    at: Mapping[object, object], values: object
) -> tuple[list[int], list[object]]:
    if values is not None:
        raise TypeError(
            "Steps takes a dict alone, or two lists; found a dict and more."
        )
    if 0 not in at:
        raise ValueError(
            f"Steps must say the value from epoch 0 on; found epochs {list(at)}. Add "
            "0: ..."
        )
    epochs = sorted(FROM_0.integer("an epoch of Steps", epoch) for epoch in at)
    return epochs[1:], [at[epoch] for epoch in epochs]


def coefficient_range(value: Any, epochs: int = 200) -> Range:
    """Return the range of a coefficient: a number, a schedule, or `Trainable`.

    Args:
        value: as given to `compile`. A schedule is asked for its first epochs.
        epochs: how many.
    """
    if getattr(value, "is_trained", False):
        return 0.0, math.inf
    if callable(value):
        found = [float(value(epoch)) for epoch in range(epochs)]
        return min(found), max(found)
    return float(value), float(value)
