"""Bringing layer outputs of different shapes to one: vectors, sequences, maps."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from coloss.transfer.masks import both, keep, rows_of
from coloss.typing import Tensor

# Whether a term compares positions.
NONE, OPTIONAL, REQUIRED = "none", "optional", "required"


@dataclass(frozen=True, eq=False)
class Aligned:
    """Two layers' outputs in shapes that a term can compare.

    Attributes:
        learner: (batch, ..., channels).
        source: (batch, ..., channels), positions as the learner's.
        mask: bool, the rows (batch,) or positions (batch, ...) that count on both
            sides; None: all.
    """

    learner: Tensor
    source: Tensor
    mask: Tensor | None = None


def to_vector(values: Tensor, known: Tensor | None = None) -> Tensor:
    """Average over all positions.

    Args:
        values: (batch, ..., channels); a (batch, channels) is returned as it is.
        known: (batch, ...) bool, positions that count, such as the mask of a padded
            sequence; None: all. A row without a position becomes 0.

    Returns:
        (batch, channels).
    """
    axes = tuple(range(1, len(values.shape) - 1))
    if not axes:
        return values
    if known is None:
        return ops.mean(values, axis=axes)
    counted = ops.expand_dims(ops.cast(known, values.dtype), -1)
    number = ops.sum(counted, axis=axes)
    total = ops.sum(keep(values, known), axis=axes)
    return total / ops.maximum(number, ops.ones_like(number))


def same_positions(
    learner: Tensor,
    source: Tensor,
    learner_known: Tensor | None = None,
    source_known: Tensor | None = None,
) -> Aligned:
    """Pool two sequences, or two maps, to the smaller number of positions.

    Args:
        learner: (batch, ..., channels), one or two position axes of known length.
        source: of the same rank.
        learner_known: (batch, ...) bool, the learner's positions that count; None:
            all. A pooled position is the mean of those, and counts if any does.
        source_known: the same of the source.

    Returns:
        Both, with equal position axes (adaptive average pooling), and the positions
        that count on both sides.

    Raises:
        ValueError: if the ranks differ, or a length is not known.
    """
    if len(learner.shape) != len(source.shape):
        raise ValueError(
            f"positions cannot be matched: the learner is {tuple(learner.shape)}, the "
            f"source {tuple(source.shape)}; expected two sequences or two maps."
        )
    lengths = [tuple(value.shape[1:-1]) for value in (learner, source)]
    if lengths[0] != lengths[1]:
        if None in lengths[0] or None in lengths[1]:
            raise ValueError(
                f"positions cannot be matched: lengths {lengths[0]} and {lengths[1]} "
                "must be known when the networks are built."
            )
        target = tuple(min(pair) for pair in zip(*lengths, strict=True))
        learner, learner_known = _pooled(learner, learner_known, target)
        source, source_known = _pooled(source, source_known, target)
    mask = both(learner_known, source_known)
    return Aligned(keep(learner, mask), keep(source, mask), mask)


def _pooled(
    values: Tensor, known: Tensor | None, target: tuple[int, ...]
) -> tuple[Tensor, Tensor | None]:
    """Return values averaged to fewer positions, and which of these count."""
    if tuple(values.shape[1:-1]) == target:
        return values, known
    if known is None:
        return _averaged(values, target), None
    share = _averaged(ops.cast(ops.expand_dims(known, -1), values.dtype), target)
    counted = ops.greater(share, 0)
    mean = _averaged(keep(values, known), target)
    mean = mean / ops.where(counted, share, ops.ones_like(share))
    return mean, ops.squeeze(counted, -1)


def _averaged(values: Tensor, target: tuple[int, ...]) -> Tensor:
    size = target[0] if len(target) == 1 else target
    return ops.adaptive_average_pool(
        ops.convert_to_tensor(values), output_size=size, data_format="channels_last"
    )


def align(
    learner: Tensor,
    source: Tensor,
    learner_known: Tensor | None = None,
    source_known: Tensor | None = None,
    positions: str = NONE,
    vectors: bool = False,
) -> Aligned:
    """Bring a learner's and a source's layer outputs to shapes that can be compared.

    Two outputs with positions (sequences, maps) are pooled to the smaller number of
    positions; one with and one without become vectors. Widths are left as they are.

    Padding counts nowhere. A term that compares positions leaves out those that are
    padding on either side. For one that reads rows as a whole, padded sequences become
    the means of their real positions, each side by its own mask, or by the other's
    where it has none and as many positions.

    Args:
        learner: (batch, ..., channels).
        source: (batch, ..., channels).
        learner_known: (batch, ...) bool, the learner's real positions; None: all.
        source_known: the same of the source.
        positions: whether the term compares positions: "none", "optional" or
            "required" (then nothing becomes a vector).
        vectors: whether both must become vectors.

    Raises:
        ValueError: if positions must be kept and cannot be.
    """
    known = (learner_known, source_known)
    ranks = len(learner.shape), len(source.shape)
    sequences = ranks[0] == ranks[1] > 2
    padded = learner_known is not None or source_known is not None
    if positions == REQUIRED or (positions == OPTIONAL and sequences):
        return same_positions(learner, source, *known)
    if padded and learner.shape[1:-1] == source.shape[1:-1]:
        first, second = known
        known = (
            second if first is None else first,
            first if second is None else second,
        )
    if vectors or padded or ranks[0] != ranks[1]:
        mask = both(rows_of(known[0]), rows_of(known[1]))
        return Aligned(to_vector(learner, known[0]), to_vector(source, known[1]), mask)
    if sequences and learner.shape[1:-1] != source.shape[1:-1]:
        return same_positions(learner, source)
    return Aligned(learner, source)
