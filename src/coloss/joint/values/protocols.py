"""What transfer terms read of a batch, and the layers they use, by name and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import keras

from coloss.joint.outputs.forward import Forward
from coloss.joint.supervision.labels import Labels
from coloss.joint.supervision.member_loss import MemberLoss
from coloss.joint.values.projectors import Projectors
from coloss.joint.values.running_accuracy import RunningAccuracy
from coloss.joint.values.term_schedule import TermSchedule
from coloss.objective.rows import Atom
from coloss.typing import Tensor


class TermLayers(Protocol):
    """The layers beside the members that terms use."""

    projectors: Projectors
    schedule: TermSchedule
    running_accuracy: RunningAccuracy


class SupervisedBatch(Protocol):
    """One batch: outputs, labels and losses of every member."""

    forward: Forward
    members: Mapping[str, keras.Model]
    losses: dict[str, MemberLoss]
    across: Callable[[Tensor], Tensor] | None

    def labels(self, name: str) -> Labels | None:
        """Return a member's labels, or None where it has none."""

    def atom(self, name: str) -> Atom:
        """Return a member's supervised loss, row by row."""

    def classes(self, name: str) -> Tensor | None:
        """Return a member's true classes, -1 where there is none."""

    def unlabeled(self, name: str) -> Tensor | None:
        """Return where a member has no label."""

    def counted_classes(
        self, name: str, judge: str | None = None
    ) -> tuple[Tensor, Tensor] | None:
        """Return a member's true classes, and where they and its output count."""

    def counted_numbers(
        self, name: str, judge: str | None = None
    ) -> tuple[Tensor, Tensor] | None:
        """Return a member's labels that are numbers, and which rows of it count."""
