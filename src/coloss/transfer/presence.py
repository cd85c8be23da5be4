"""Which of several sources each row, or position, has."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from coloss.transfer.masks import keep, prepare, raised
from coloss.typing import Tensor


def presences(
    term: str,
    learner: Tensor,
    number: int,
    source_masks: Sequence[Tensor | None] | None,
    mask: Tensor | None,
) -> tuple[list[Tensor], Tensor | None]:
    """Return each source's equal share of every row or position, and what counts.

    Args:
        term: the term's name, for messages.
        learner: (B, ..., C), or (B,) losses: for the sizes and the type.
        number: of sources.
        source_masks: see `consensus`.
        mask: (B,) or (B, ...) bool, or None.

    Returns:
        For each source a share, 0 where it is absent, 1 together where it counts: of
        each row (B,), or of each position where a mask tells them apart. And the mask
        of what counts: that of `mask` which has a source.

    Raises:
        ValueError: without a source, or for another number of masks than sources.
    """
    if number == 0:
        raise ValueError(f"{term} needs at least 1 source beside the learner; found 0")
    if source_masks is not None and len(source_masks) != number:
        raise ValueError(
            f"{term} needs one mask or None for each source; found "
            f"{len(source_masks)} for {number} sources"
        )
    positions = len(learner.shape) > 1
    masks = [
        None if one is None else prepare(term, one, learner, positions=positions)[0]
        for one in source_masks or [None] * number
    ]
    # Shares are of positions as soon as one mask is.
    rank = max([1] + [len(one.shape) for one in (mask, *masks) if one is not None])
    size = ops.shape(learner)[:rank]
    everywhere = ops.ones(size, dtype=learner.dtype)
    if all(one is None for one in masks):
        return [keep(everywhere / number, mask)] * number, mask
    here = [
        everywhere
        if one is None
        else everywhere * ops.cast(raised(one, rank), learner.dtype)
        for one in masks
    ]
    here = [keep(one, mask) for one in here]
    total = sum(here[1:], here[0])
    mask = ops.greater(total, 0)
    total = ops.where(mask, total, ops.ones_like(total))
    return [one / total for one in here], mask
