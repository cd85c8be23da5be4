"""When a transfer term counts: from `start` to `stop`, growing over `warmup` epochs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from coloss.objective import Objective, reach
from coloss.objective.expression import Call
from coloss.typing import Tensor

OPTIONS = ("start", "stop", "warmup")


def factor_at(
    epoch: int, start: int = 0, stop: int | None = None, warmup: int = 0
) -> float:
    """Return how much a term counts in an epoch.

    Args:
        epoch: from 0.
        start: the first epoch in which it counts.
        stop: the first epoch in which it no longer does; None: it never stops.
        warmup: epochs over which it grows linearly to 1.

    Returns:
        A number from 0 to 1; in the first epoch of a warm-up already 1/(warmup + 1).
    """
    if epoch < start or (stop is not None and epoch >= stop):
        return 0.0
    return min(1.0, (epoch - start + 1) / (warmup + 1))


class TermSchedule(keras.layers.Layer):
    """The factor of each term that has a window, as a variable.

    Args:
        objective: the joint loss, bound; None: no term.
        counted: whether the epoch itself is kept, for methods that turn with it.
    """

    def __init__(
        self, objective: Objective | None = None, counted: bool = False
    ) -> None:
        """Create one variable a term."""
        super().__init__(name="windows", trainable=False)
        self._terms = () if objective is None else tuple(windowed(objective))
        self._factor = None
        if self._terms:
            self._factor = self.add_weight(
                shape=(len(self._terms),),
                initializer="zeros",
                dtype="float32",
                trainable=False,
                name="factor",
            )
        self._epoch = None
        if counted:
            self._epoch = self.add_weight(
                shape=(),
                initializer="zeros",
                dtype="float32",
                trainable=False,
                name="epoch",
            )
        self.built = True
        self.move(0)

    def move(self, epoch: int) -> None:
        """Set every factor to its value in an epoch, from 0."""
        if self._factor is not None:
            values = [factor_at(epoch, **_window(term)) for term in self._terms]
            self._factor.assign(values)
        if self._epoch is not None:
            self._epoch.assign(float(epoch))

    @property
    def epoch(self) -> Tensor | None:
        """The epoch, a scalar tensor; None where it is not counted."""
        return None if self._epoch is None else ops.convert_to_tensor(self._epoch)

    def factor(self, term: Call) -> Tensor | None:
        """Return a term's factor: a scalar tensor, or None where it has no window."""
        if term not in self._terms:
            return None
        return ops.convert_to_tensor(self._factor)[self._terms.index(term)]


def windowed(objective: Objective) -> Iterable[Call]:
    """Return the terms of an objective that have a window."""
    terms = reach.transfer_calls(objective.expression)
    return [term for term in terms if _window(term)]


def _window(term: Call) -> dict[str, Any]:
    return {key: value for key, value in term.options if key in OPTIONS}
