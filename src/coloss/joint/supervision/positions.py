"""Which positions of a member count on a batch, and with which weight.

A position is what a loss has one value for: a row, a step of a sequence, a pixel. It
counts where its label is known and not to be ignored, its row has an input, and no
mask of Keras hides it. Losses and metrics read this one answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from coloss.transfer.masks import both, keep, raised, rows_of
from coloss.typing import Tensor


@dataclass(frozen=True, eq=False)
class Positions:
    """The positions of one member on one batch.

    Attributes:
        member: its name, for messages.
        counted: bool, (batch,) or (batch, ...); None: all count.
        weight: float32, (batch,) or (batch, ...), 1 where an axis is shared; None: 1.
        masked: whether a mask of Keras has a part in `counted`.
    """

    member: str
    counted: Tensor | None = None
    weight: Tensor | None = None
    masked: bool = False

    @property
    def rows(self) -> Tensor | None:
        """(batch,) bool: rows with at least one position that counts; None: all."""
        return rows_of(self.counted)

    def row_values(self, values: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return one loss a row, and the weight of each row.

        A row's loss is the weighted mean over the positions that count, and its weight
        the mean of theirs: the product is the sum of weight times loss over the
        positions, divided by their number, as in Keras. Rows of different lengths
        count alike.

        Args:
            values: (batch, ...), the loss of each position.

        Returns:
            Both (batch,); the weight is None where no weights were given. Rows
            without a position that counts are 0, and carry no gradient.

        Raises:
            ValueError: if weights or masks have more axes than the loss has.
        """
        rank = len(values.shape)
        counted = self.counted
        if counted is not None and len(counted.shape) > rank and not self.masked:
            counted, values = _whole(counted, values)
        counted = self._fitted(counted, values, "a mask")
        weight = self._fitted(self.weight, values, "sample weights")
        if rank == 1:
            return keep(values, counted), weight
        axes = tuple(range(1, rank))
        ones = ops.ones_like(values)
        here = ones if counted is None else keep(ones, counted)
        number = ops.maximum(ops.sum(here, axis=axes), 1.0)
        values = keep(values, counted)
        if weight is None or _is_flat(weight):
            means = ops.sum(values, axis=axes) / number
            return means, None if weight is None else ops.reshape(weight, (-1,))
        total = ops.sum(weight * values, axis=axes)
        # Weights of both signs may cancel; their sizes do not.
        size = ops.sum(ops.abs(weight) * here, axis=axes)
        means = total / ops.where(size > 0, size, ops.ones_like(size))
        return means, size / number

    def for_metric(self, weighted: bool) -> Tensor | None:
        """Return the `sample_weight` of a metric: 0 where a position does not count.

        Args:
            weighted: whether weights count.
        """
        weight = self.weight if weighted else None
        if self.counted is None:
            return weight
        counted = ops.cast(self.counted, "float32")
        if weight is None:
            return counted
        rank = max(len(counted.shape), len(weight.shape))
        return raised(counted, rank) * raised(weight, rank)

    def _fitted(self, mask: Tensor | None, values: Tensor, what: str) -> Tensor | None:
        """Return a mask or weights of the rank of the loss values."""
        if mask is None:
            return None
        found = tuple(mask.shape)
        rank = len(values.shape)
        while len(mask.shape) > rank and mask.shape[-1] == 1:
            mask = ops.squeeze(mask, axis=-1)
        sizes = zip(mask.shape[1:], values.shape[1:], strict=False)
        fits = all(one in (1, None) or two in (one, None) for one, two in sizes)
        if len(mask.shape) > rank or not fits:
            named = "(" + ", ".join(["rows", *map(str, values.shape[1:])]) + ")"
            raise ValueError(
                f"the loss of {self.member!r} has values of shape {named}, and {what} "
                f"of shape {found}; expected a shape that broadcasts to the loss: one "
                "number a row, or one for each of its positions."
            )
        return raised(mask, rank)


def find_positions(
    member: str,
    known: Tensor | None,
    present: Tensor | None,
    mask: Tensor | None,
    weight: Tensor | None = None,
) -> Positions:
    """Return what counts of a member on a batch.

    Args:
        member: its name.
        known: (batch, ...) bool, positions with a label; None: all.
        present: (batch,) bool, rows with an input; None: all.
        mask: (batch, ...) bool, Keras's mask of the outputs; None: no mask.
        weight: (batch, ...) sample weights; None: 1.
    """
    counted: Tensor | None = None
    for part in (known, present, mask):
        counted = both(counted, None if part is None else ops.cast(part, "bool"))
    weight = None if weight is None else ops.cast(weight, "float32")
    return Positions(member, counted, weight, mask is not None)


def _is_flat(weight: Tensor) -> bool:
    """Whether weights are one number a row: (batch, 1, ...)."""
    return all(size == 1 for size in weight.shape[1:])


def _whole(counted: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return what counts of a loss that has one value for several labels.

    Such a loss cannot leave out one of them: it becomes NaN where some are unlabeled,
    which stops training with the member's name.
    """
    axes = tuple(range(len(values.shape), len(counted.shape)))
    some, every = ops.any(counted, axis=axes), ops.all(counted, axis=axes)
    in_part = ops.logical_and(some, ops.logical_not(every))
    return some, ops.where(in_part, ops.full_like(values, float("nan")), values)
