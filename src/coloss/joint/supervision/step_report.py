"""What a step that was not finite leaves behind for the error that tells of it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from coloss.names import unknown
from coloss.typing import Tensor

FINE, GRADIENT, UPDATE, STATE = range(4)
"""What was not finite: nothing, a gradient, a weight or slot, a state of a layer."""

RAISE, SKIP, RESTORE = POLICIES = ("raise", "skip", "restore")
"""What comes of a step that is not finite."""

SKIPPED = "skipped_steps"
"""Entry of the history where steps are skipped."""


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

    policy = RAISE

    def act(self, policy: str) -> None:
        """Let bad steps have other consequences than the end of the training.

        Args:
            policy: one of `POLICIES`.

        Raises:
            ValueError: if it is none of them.
        """
        if policy not in POLICIES:
            raise ValueError(f"{unknown('on_nonfinite', policy, POLICIES)}.")
        self.policy = policy
        if self.skips:
            self._skipped = self.add_variable(
                shape=(), initializer="zeros", name="skipped"
            )

    @property
    def skips(self) -> bool:
        """Whether training goes on after a bad step, which changes nothing."""
        return self.policy != RAISE

    def note_skipped(self, bad: Tensor) -> None:
        """Count a step that was skipped; a scalar bool."""
        self._skipped.assign(self._skipped + ops.cast(bad, "float32"))

    @property
    def skipped(self) -> int:
        """The steps that were skipped since the last reset."""
        if not self.skips:
            return 0
        return round(float(ops.convert_to_numpy(self._skipped.value)))

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
        """Return how many steps were skipped, where steps are."""
        # A new tensor: on PyTorch, a variable's own is counted on from zero later.
        return {SKIPPED: self._skipped.value + 0.0} if self.skips else {}

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
