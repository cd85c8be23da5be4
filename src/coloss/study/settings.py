"""How each run of a study is trained, the same in every engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from coloss.study.arms import Run
from coloss.study.trial import Trial

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
    """

    epochs: int
    batch_size: int
    metric: str
    direction: str
    patience: int | None
    validation_freq: int

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
        test: metrics on test rows, at the end.
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


def as_numbers(logs: Any) -> dict[str, float]:
    """Return logs as plain numbers; vector metrics (one a class) as their mean."""
    return {name: float(np.mean(np.asarray(value))) for name, value in logs.items()}
