"""When a checkpoint is due: after an epoch, so many steps, or so much time."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Literal, TypeAlias

from coloss.checking import COUNT

Every: TypeAlias = Literal["epoch"] | int | timedelta
"""What `Checkpoint(every=)` takes."""


def check_every(every: object) -> Every:
    """Return `every`, checked.

    Raises:
        ValueError: for another word, no steps, or no time.
        TypeError: for what is none of these.
    """
    if every == "epoch":
        return "epoch"
    if isinstance(every, timedelta):
        if every <= timedelta(0):
            raise ValueError(f"`every` must be a time above 0; found {every}.")
        return every
    if isinstance(every, str):
        raise ValueError(
            '`every` must be "epoch", a number of steps or a datetime.timedelta; found '
            f"{every!r}."
        )
    return COUNT.integer('`every`, if neither "epoch" nor a datetime.timedelta,', every)


class Due:
    """Says whether a checkpoint is due.

    Args:
        every: after which steps, or time.
    """

    def __init__(self, every: Every) -> None:
        """Begin now."""
        self.every = every
        self.begin(0)

    def begin(self, step: int) -> None:
        """Count from here: a checkpoint was written, or training begins.

        Args:
            step: training steps since the first epoch.
        """
        self._step, self._time = step, time.monotonic()

    def at(self, step: int) -> bool:
        """Return whether one is due after a step within an epoch.

        Args:
            step: training steps since the first epoch.
        """
        if isinstance(self.every, timedelta):
            return time.monotonic() - self._time >= self.every.total_seconds()
        if self.every == "epoch":
            return False
        return step // self.every > self._step // self.every

    def at_epoch_end(self, step: int) -> bool:
        """Return whether one is due at the end of an epoch."""
        return self.every == "epoch" or self.at(step)

    def next(self, step: int) -> int | None:
        """Return the first step from here after which one is due.

        Args:
            step: training steps since the first epoch.

        Returns:
            None where no number of steps tells.
        """
        if not isinstance(self.every, int):
            return None
        return (step // self.every + 1) * self.every
