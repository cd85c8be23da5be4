"""Which positions of an output count: Keras's mask, brought to its shape."""

from __future__ import annotations

from dataclasses import dataclass, replace

from keras import ops

from coloss.transfer.masks import both, keep, rows_of, spread_over
from coloss.typing import Tensor


@dataclass(frozen=True, eq=False)
class Reading:
    """What a term reads of a member, and what of it counts.

    Attributes:
        values: (batch, ..., channels), or (batch,) losses.
        rows: (batch,) bool, rows that are there; None: all.
        positions: (batch, ...) bool, one for every position of `values`, False at
            padding; None: all.
    """

    values: Tensor
    rows: Tensor | None = None
    positions: Tensor | None = None

    @property
    def known(self) -> Tensor | None:
        """What counts: (batch,) or (batch, ...) bool; None: all."""
        return both(self.positions, self.rows)

    def holding(self, values: Tensor) -> Reading:
        """Return the same of other values."""
        return replace(self, values=values)

    def filled(self, mask: Tensor | None) -> Tensor:
        """Return the values, harmless where a mask says that they do not count."""
        return keep(self.values, mask, 1.0)


def read_masked(
    place: str, values: Tensor, rows: Tensor | None, mask: Tensor | None
) -> Reading:
    """Return an output with the mask that its layers left.

    Args:
        place: a member or a layer, for messages.
        values: (batch, ..., channels), the class axis moved last. Where the mask has
            as many axes, each number is a position, with one channel.
        rows: (batch,) bool, rows that have an input; None: all.
        mask: Keras's mask: bool over the first axes of `values`; one of rows only is
            taken as such, one of steps for all that a step has.

    Raises:
        ValueError: if the mask is of another shape: a layer changed the positions and
            handed the mask on as it was.
    """
    if mask is None:
        return Reading(values, rows)
    mask = ops.cast(mask, "bool")
    rank = len(mask.shape)
    if rank == len(values.shape) > 1:
        values = ops.expand_dims(values, -1)
    given, wanted = tuple(mask.shape), tuple(values.shape[:rank])
    if rank > len(values.shape) - (len(values.shape) > 1) or any(
        None not in (one, other) and one != other
        for one, other in zip(given, wanted, strict=True)
    ):
        raise ValueError(
            f"the mask of `{place}` is {given}, its output {tuple(values.shape)}; "
            "expected one bool for each row or position. A layer that changes the "
            "number of positions must say in `compute_mask` what becomes of the mask."
        )
    if rank == 1:
        return Reading(values, both(mask, rows))
    positions = spread_over(mask, values)
    return Reading(values, both(rows_of(positions), rows), positions)
