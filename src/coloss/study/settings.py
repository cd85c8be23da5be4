"""How each run of a study is trained, the same in every engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from coloss.names import nearest, unknown
from coloss.study.arms import Run
from coloss.study.trial import Trial
from coloss.typing import Tensor

EVALUATION_BATCH = 1024
"""Rows a step of evaluation, or `batch_size` where that is more."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What every run has in common.

    Attributes:
        epochs: of each run, at most.
        batch_size: rows a step.
        metric: what early stopping goes by, an entry of the validation metrics.
        direction: "max" or "min": which way `metric` is better.
        patience: epochs without a better `metric` before a run stops, and goes back
            to its best weights; None: no early stopping.
        validation_freq: epochs from one validation to the next.
        parts: on which rows the trained networks are measured. Without "test" no test
            row is read.
    """

    epochs: int
    batch_size: int
    metric: str
    direction: str
    patience: int | None
    validation_freq: int
    parts: tuple[str, ...] = ("validation", "test")

    @property
    def evaluation_batch(self) -> int:
        """Rows a step of evaluation."""
        return max(self.batch_size, EVALUATION_BATCH)

    def validates(self, epoch: int) -> bool:
        """Return whether there is a validation after this epoch, from 0."""
        return (epoch + 1) % self.validation_freq == 0


@dataclasses.dataclass
class Record:
    """What one run found.

    Attributes:
        run: which.
        validation: metrics on validation rows, at the end.
        test: metrics on test rows, at the end; empty where they were not read.
        seconds: it took; in a population its share.
        epochs: it trained.
        error: None, or why it ended early; the weights are then those of its last
            good step.
        history: one entry an epoch: metrics, `val_` before those of validation.
    """

    run: Run
    validation: dict[str, float]
    test: dict[str, float]
    seconds: float
    epochs: int
    error: str | None
    history: list[dict[str, float]]


class Engine(Protocol):
    """Computes the runs of one arm."""

    def __call__(
        self,
        trial: Trial,
        runs: Sequence[Run],
        training: Training,
        tick: Callable[[float], None],
    ) -> Iterator[Record]:
        """Yield each run's record as it is finished.

        Args:
            trial: the arm, compiled.
            runs: of that arm.
            training: how.
            tick: called with the number of epochs done since the last call, over all
                runs, for a progress bar.
        """


def judged_by(
    trials: Mapping[str, Trial], main: str, metric: str | None
) -> tuple[str, str]:
    """Return the entry by which runs are judged, and which way it is better.

    Args:
        trials: compiled arms, by name.
        main: the main network.
        metric: as the user gave it; None: the main network's first metric, or its loss.

    Returns:
        The entry, and "max" or "min".

    Raises:
        ValueError: if an arm has no such network or entry, or nobody knows which way
            it is better.
    """
    direction = None
    for name, trial in trials.items():
        if main not in trial.joint:
            raise ValueError(
                f"`main`: arm {name!r} has {unknown('member', main, trial.joint)}."
            )
        settings = trial.joint.compiled_settings
        entries = [one.metric.name for one in settings.metrics]
        if metric is None:
            own = [o.metric.name for o in settings.metrics if o.member == main]
            metric = own[0] if own else f"{main}_loss"
        if metric not in (*entries, *settings.loss_tracker.entries):
            raise ValueError(
                f"`metric`: arm {name!r} has no {metric!r}"
                f"{nearest(metric, entries)} (entries: {', '.join(entries)})."
            )
        direction = direction or settings.direction(metric)
    if direction is None:
        raise ValueError(
            f"`metric`: nobody knows whether more or less {metric!r} is better; "
            "choose another."
        )
    return str(metric), direction


def as_numbers(logs: Mapping[str, Tensor]) -> dict[str, float]:
    """Return logs as plain numbers; vector metrics (one a class) as their mean."""
    return {name: float(np.mean(np.asarray(value))) for name, value in logs.items()}
