"""What a step that was not finite leaves behind for the error that tells of it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from coloss.typing import Tensor

FINE, GRADIENT, UPDATE, STATE = range(4)
"""What was not finite: nothing, a gradient, a weight or slot, a state of a layer."""


class StepReport(keras.metrics.Metric):
    """Where the first bad step since the last reset went wrong; logs nothing.

    Args:
        members: the networks' names.
    """

    def __init__(self, members: Sequence[str]) -> None:
        """Start with nothing to tell."""
        super().__init__(name="step_report")
        self.members = tuple(members)
        # Replicas see the same, so that their mean is what each of them saw.
        self._place = self.add_variable(
            shape=(2,), initializer="zeros", aggregation="mean", name="place"
        )
        self._flaws = self.add_variable(
            shape=(len(FLAWS), len(self.members)), initializer="zeros", name="flaws"
        )

    def note_place(self, place: Tensor) -> None:
        """Keep what was not finite, and the position of its variable; the first only.

        Args:
            place: (2,) float32.
        """
        before = self._place.value
        self._place.assign(ops.where(before[0] > 0, before, place))

    def note_flaws(self, found: Tensor) -> None:
        """Count numbers of the batch that are not fit for use.

        Args:
            found: (kinds of `FLAWS`, members).
        """
        self._flaws.assign(self._flaws + found)

    def update_state(self, *arguments: object, **options: object) -> None:
        """Do nothing: steps write by name."""

    def result(self) -> dict[str, Tensor]:
        """Return no entry of the history."""
        return {}

    def place(self) -> tuple[int, int]:
        """Return what was not finite, and the position of its variable."""
        kind, position = ops.convert_to_numpy(self._place.value)
        return int(kind), int(position)

    def flaws(self) -> list[str]:
        """Return a sentence for each member whose data were not fit for use."""
        counts = ops.convert_to_numpy(self._flaws.value)
        return [
            text.format(name=name, rows=int(rows))
            for text, row in zip(FLAWS.values(), counts, strict=True)
            for name, rows in zip(self.members, row, strict=True)
            if rows > 0
        ]


def report_of(model: keras.Model) -> StepReport | None:
    """Return where the steps of a model report; None: nowhere."""
    settings = getattr(model, "_compiled_settings", None)
    return None if settings is None else settings.step_report


LABELS, INPUTS = "labels", "inputs"
FLAWS = {
    LABELS: "labels of {name!r} are out of range in {rows} places",
    INPUTS: "the input of {name!r} is infinite in {rows} places",
}
