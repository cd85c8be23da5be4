"""What a `fit` in blocks goes over, and keeps between its epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from coloss.joint.base import JointBase
from coloss.joint.epochs.callbacks import BlockCallbacks
from coloss.joint.epochs.order import RowOrder
from coloss.joint.keras_internals import OneTurn
from coloss.joint.steps.non_finite import NonFiniteGuard
from coloss.typing import Nested, Tensor

TRAIN, TEST = "coloss: train", "coloss: test"
"""The words that Keras's loop is given instead of batches."""

Order: TypeAlias = tuple[Tensor | None, Tensor | None]
"""(steps, size) rows of whole batches; None: as they stand. Rows of the last one."""


@dataclass(eq=False)
class Turns:
    """The rows that a `fit` goes over, again and again, one epoch a turn.

    Attributes:
        word: `TRAIN` or `TEST`.
        rows: a structure of arrays (rows, ...), on the device.
        order: in which they come.
        callbacks: that are told of blocks.
        guard: that is told the step at which the loss stopped being finite.
    """

    word: str
    rows: Nested
    order: RowOrder
    callbacks: BlockCallbacks
    guard: NonFiniteGuard

    @property
    def size(self) -> int:
        """The rows of a batch."""
        return self.order.size

    @property
    def steps(self) -> int:
        """The steps of a turn, the small last one included."""
        return self.order.steps

    @property
    def whole(self) -> int:
        """The steps of a turn on whole batches."""
        return self.order.rows // self.order.size

    def adapter(self) -> OneTurn:
        """Return what Keras's loop is given in the place of the rows."""
        return OneTurn(self.word)

    def draw(self) -> Order:
        """Draw the order of a turn.

        Returns:
            (whole, size) int32, or None for rows as they stand; and the rows of the
            small last batch, or None.
        """
        order = self.order.draw()
        cut = self.whole * self.size
        if order is None:
            last, many = np.arange(cut, self.order.rows, dtype="int32"), None
        else:
            last, many = order[cut:], order[:cut].reshape(self.whole, self.size)
        return many, last if len(last) else None


@dataclass(eq=False)
class TurnsOfFit:
    """The rows of a `fit` in blocks, and numbers that need not be computed twice.

    Attributes:
        by_word: rows on the device, by the word that stands for them in Keras's loop;
            none of them: steps are taken one by one.
        logs: of the turn that just ended, until metrics are reset.
        fresh: the values of the metrics' variables after a reset.
    """

    by_word: Mapping[str, Turns] = field(default_factory=dict)
    logs: dict[str, Tensor] | None = None
    fresh: tuple[Tensor, ...] = ()

    @property
    def active(self) -> bool:
        """Whether steps are taken in blocks."""
        return bool(self.by_word)


if TYPE_CHECKING:

    class BlocksBase(JointBase):
        """A joint model, as its epochs see it; see `EpochsMixin`."""

        takes_blocks: bool
        turns: TurnsOfFit
        told_reasons: frozenset[str]
        guarded: bool

        def trusting_step(
            self, state: tuple[list[Tensor], ...], data: Nested
        ) -> tuple[dict[str, Tensor], tuple[list[Tensor], ...]]:
            """Run one step whatever comes of it; see the steps on JAX."""
            ...

else:
    BlocksBase = JointBase
