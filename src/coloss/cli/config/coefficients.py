"""The table `[coefficients]`: a number, or how it moves with the epoch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from coloss.cli.config.base import Count, Part, Whole


class RampTable(Part):
    """A straight line from `start` to `stop`."""

    schedule: Literal["ramp"]
    start: float
    stop: float
    epochs: Count
    delay: Whole = 0


class CosineTable(Part):
    """Half a cosine from `start` to `stop`."""

    schedule: Literal["cosine"]
    start: float
    stop: float
    epochs: Count


class StepsTable(Part):
    """Constant pieces: one value more than epochs."""

    schedule: Literal["steps"]
    at: Annotated[list[Count], Field(min_length=1)]
    values: Annotated[list[float], Field(min_length=2)]


class TrainableTable(Part):
    """A positive number that is trained with the networks."""

    trainable: Annotated[float, Field(gt=0)]


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "trainable" if "trainable" in value else str(value.get("schedule"))
    if isinstance(value, TrainableTable):
        return "trainable"
    return getattr(value, "schedule", "number")


Coefficient = Annotated[
    Annotated[float, Tag("number")]
    | Annotated[RampTable, Tag("ramp")]
    | Annotated[CosineTable, Tag("cosine")]
    | Annotated[StepsTable, Tag("steps")]
    | Annotated[TrainableTable, Tag("trainable")],
    Discriminator(
        _kind,
        custom_error_type="coefficient",
        custom_error_message="expected a number, or a table with schedule = "
        '"ramp", "cosine" or "steps", or with trainable = a number above 0',
    ),
]


def as_schedule(given: object) -> Any:
    """Return a coefficient as `JointModel.compile` takes it.

    Raises:
        ValueError: if a schedule's values do not fit each other.
    """
    from coloss.weighting import Cosine, Ramp, Steps, Trainable

    if isinstance(given, RampTable):
        return Ramp(given.start, given.stop, given.epochs, given.delay)
    if isinstance(given, CosineTable):
        return Cosine(given.start, given.stop, given.epochs)
    if isinstance(given, StepsTable):
        return Steps(given.at, given.values)
    if isinstance(given, TrainableTable):
        return Trainable(given.trainable)
    return given
