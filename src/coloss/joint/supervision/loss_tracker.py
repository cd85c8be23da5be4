"""The running means of everything that the loss is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from coloss.typing import Tensor


class LossTracker(keras.metrics.Metric):
    """Running means of several numbers, in two variables for all of them.

    One metric a number would carry two variables each through every step, which is
    felt in a short one.

    Args:
        entries: the numbers' names, as they appear in the history.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        """Start every mean at nothing."""
        super().__init__(name="ledger")
        self.entries = tuple(entries)
        for name in ("total", "count"):
            variable = self.add_variable(
                shape=(len(self.entries),), initializer="zeros", name=name
            )
            setattr(self, f"_{name}", variable)

    def update_state(self, values: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Take in one batch.

        Args:
            values: a number and its weight for each entry; one left out has weight 0.
        """
        nothing = (0.0, 0.0)
        pairs = [values.get(entry, nothing) for entry in self.entries]
        numbers = ops.stack([ops.cast(number, "float32") for number, _ in pairs])
        weights = ops.stack([ops.cast(weight, "float32") for _, weight in pairs])
        # A number of weight 0 may be anything: it must not turn the mean into NaN.
        counted = ops.where(weights > 0, numbers * weights, ops.zeros_like(numbers))
        self._total.assign(self._total + counted)
        self._count.assign(self._count + weights)

    def result(self) -> dict[str, Tensor]:
        """Return the mean of each entry; 0 where nothing was counted."""
        means = ops.divide_no_nan(self._total.value, self._count.value)
        return {entry: means[index] for index, entry in enumerate(self.entries)}
