"""The steps of an interrupted epoch that were taken before: nobody sees them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras

from coloss.typing import Logs

TrainFunction: TypeAlias = Callable[..., Any]
"""Keras's: of (state, batches) on JAX, of batches on the other backends."""


class Skipping:
    """A train function that only takes batches in, until so many were.

    Keras's loop counts the steps of every epoch alike: those that were taken before
    are counted, too, and come to nothing.

    Args:
        model: whose train function it stands for until then.
        first: steps that come to nothing.
        end: steps of the epoch.
    """

    def __init__(self, model: keras.Model, first: int, end: int) -> None:
        """Keep the train function."""
        self.model, self.plain = model, model.train_function
        self._left, self._end = first, end

    def __call__(self, *arguments: Any) -> Any:
        """Take batches in, or hand over to the train function."""
        steps = int(self.model.steps_per_execution)
        steps = min(steps, self._end)
        skipped = min(self._left, steps)
        self._left, self._end = self._left - skipped, self._end - steps
        if not skipped:
            self.model.train_function = self.plain
            return self.plain(*arguments)
        backend = keras.backend.backend()
        if backend != "torch":
            for _ in range(skipped):
                next(arguments[-1])
        if skipped < steps:
            return self._rest(steps - skipped, arguments)
        return ({}, arguments[0]) if backend == "jax" else {}

    def _rest(self, steps: int, arguments: tuple[Any, ...]) -> Any:
        """Take the other steps of this call, one by one."""
        model, logs = self.model, {}
        before, model.steps_per_execution = model.steps_per_execution, 1
        try:
            for _ in range(steps):
                logs = self.plain(*arguments)
        finally:
            model.steps_per_execution = before
        return logs


class KnownSteps(keras.callbacks.CallbackList):
    """Callbacks that are told of no step twice.

    Attributes:
        first: the step of the running epoch that is the first to be told of.
    """

    first = 0

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Say that a step begins."""
        if batch >= self.first:
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Say that a step ended."""
        if batch >= self.first:
            super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Say that the epoch ended; the next one has no step that was told of."""
        self.first = 0
        super().on_epoch_end(epoch, logs)
