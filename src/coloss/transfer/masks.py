"""What of a batch counts, rows or positions, and arithmetic that never sees the rest.

What does not count may hold NaN or infinity. Masking after the arithmetic would still
send NaN through the gradient (0 * NaN), so every term replaces it *before* it computes
anything. A mask is bool, of rows (B,) or of positions (B, ...): steps, pixels. A row is
the mean of its positions that count; one without any does not count.
"""

from __future__ import annotations

import math

from keras import ops

from coloss.typing import Shape, Tensor

TINY = 1e-12
# Differences below this share of the values themselves are rounding of 32-bit floats.
RESOLUTION = 1e-6


def prepare(
    term: str, mask: Tensor | None, *tensors: Tensor, positions: bool = False
) -> tuple[Tensor | None, list[Tensor]]:
    """Return the mask as bool and the tensors as safe floats of one dtype.

    Floats narrower than 32 bits and integers become float32; what does not count
    becomes 0.

    Args:
        term: the term's name, for messages.
        mask: (B,) bool, rows that count; or (B, positions) where they may; None: all.
        *tensors: (B, ...), the learner first.
        positions: whether the mask may tell positions, all axes but the last, apart.

    Returns:
        The mask, of one number a row or of one a position, and the tensors.

    Raises:
        ValueError: for a scalar, for unequal numbers of rows, or for a mask that does
            not fit the learner.
    """
    tensors = tuple(ops.convert_to_tensor(tensor) for tensor in tensors)
    _check_batch(term, tensors)
    wide = any(str(tensor.dtype).endswith("float64") for tensor in tensors)
    dtype = "float64" if wide else "float32"
    floats = [ops.cast(tensor, dtype) for tensor in tensors]
    if mask is None:
        return None, floats
    mask = ops.cast(ops.convert_to_tensor(mask), "bool")
    _check_mask(term, mask, tensors, positions)
    return spread_over(mask, floats[0]), [keep(tensor, mask) for tensor in floats]


def spread_over(mask: Tensor, values: Tensor) -> Tensor:
    """Return a mask of positions as one bool for every position of (B, ..., C) values.

    A mask of steps stands for all that a step has, such as the pixels of a frame. A
    mask of rows stays one.
    """
    rank = len(values.shape) - 1
    if len(mask.shape) == 1 or len(mask.shape) == rank:
        return mask
    return ops.broadcast_to(raised(mask, rank), ops.shape(values)[:-1])


def raised(mask: Tensor, rank: int) -> Tensor:
    """Return a mask with axes of size 1 behind, so that it has `rank` axes."""
    while len(mask.shape) < rank:
        mask = ops.expand_dims(mask, -1)
    return mask


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Return what counts in both masks, of rows or of positions; None is all."""
    if first is None or second is None:
        return second if first is None else first
    rank = max(len(first.shape), len(second.shape))
    return ops.logical_and(raised(first, rank), raised(second, rank))


def rows_of(mask: Tensor | None) -> Tensor | None:
    """Return (B,) bool: the rows of which any position counts; None: all."""
    if mask is None or len(mask.shape) == 1:
        return mask
    return ops.any(mask, axis=tuple(range(1, len(mask.shape))))


def keep(values: Tensor, mask: Tensor | None, filler: float = 0.0) -> Tensor:
    """Return (B, ...) values with `filler` where they do not count.

    Args:
        values: (B, ...).
        mask: bool over the first axes of `values`; None: all count.
        filler: what stands elsewhere; no gradient passes through it.
    """
    if mask is None:
        return values
    mask = raised(mask, len(values.shape))
    return ops.where(mask, values, ops.full_like(values, filler))


def need(minimum: int, mask: Tensor | None, values: Tensor) -> Tensor | None:
    """Return the mask, without any row where fewer than `minimum` rows count."""
    if mask is None:
        batch = values.shape[0]
        if batch is not None and batch >= minimum:
            return None
        mask = ops.ones((ops.shape(values)[0],), dtype="bool")
    rows = ops.sum(ops.cast(mask, "int32"))
    return ops.logical_and(mask, ops.greater_equal(rows, minimum))


def count(mask: Tensor | None, values: Tensor) -> Tensor:
    """Return the number of rows that count, in the dtype of `values`, at least 1."""
    if mask is None:
        rows = ops.cast(ops.shape(values)[0], values.dtype)
    else:
        rows = ops.sum(ops.cast(mask, values.dtype))
    return ops.maximum(rows, ops.ones_like(rows))


def masked_mean(
    values: Tensor,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    """Return the mean over the rows that count; a row is the mean of its positions.

    Args:
        values: (B,) one value a row, or (B, ...) one a position.
        mask: bool, the rows (B,) or the positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions; the divisor stays
            the number of rows, so weights that are small everywhere make the term
            small.
        per_row: whether the rows are returned in place of their mean.

    Returns:
        A scalar; 0, without a gradient, where no row counts. With `per_row` (B,), 0 in
        rows that do not count.
    """
    if mask is not None:
        mask = ops.cast(ops.convert_to_tensor(mask), "bool")
    if weights is not None:
        weights = ops.cast(ops.convert_to_tensor(weights), values.dtype)
        if len(weights.shape) > 1:
            values = values * raised(keep(weights, mask), len(values.shape))
    rows, mask = row_mean(keep(values, mask), mask), rows_of(mask)
    if weights is not None and len(weights.shape) == 1:
        rows = rows * keep(weights, mask)
    return rows if per_row else ops.sum(rows) / count(mask, rows)


def flat(values: Tensor) -> Tensor:
    """Return (B, ...) values as (B, D)."""
    if len(values.shape) == 2:
        return values
    trailing = tuple(values.shape[1:])
    if None in trailing:
        return ops.reshape(values, (ops.shape(values)[0], -1))
    return ops.reshape(values, (-1, math.prod(trailing)))


def row_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean of (B, ...) values over all axes but the first.

    Args:
        values: (B, ...), 0 where they do not count.
        mask: bool; where it tells positions apart, the mean is over those that count.

    Returns:
        (B,); 0 in a row of which nothing counts.
    """
    told = 1 if mask is None else len(mask.shape)
    axes = tuple(range(told, len(values.shape)))
    values = ops.mean(values, axis=axes) if axes else values
    if mask is None or told == 1:
        return values
    axes = tuple(range(1, told))
    number = ops.sum(ops.cast(mask, values.dtype), axis=axes)
    return ops.sum(values, axis=axes) / ops.maximum(number, ops.ones_like(number))


def as_samples(values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return (B, ..., C) values as (N, C), every position a row, and a mask (N,)."""
    if len(values.shape) == 2:
        return values, mask
    if mask is not None:
        shape = ops.shape(values)[:-1]
        whole = raised(mask, len(values.shape) - 1)
        mask = ops.reshape(ops.broadcast_to(whole, shape), (-1,))
    return ops.reshape(values, (-1, values.shape[-1])), mask


def unit(values: Tensor) -> Tensor:
    """Return values divided by their L2 norm along the last axis.

    Exact at any scale: the peak is divided out first, so squares neither overflow
    nor vanish. A vector of zeros (all below 1e-12) is 0 and gets no gradient.
    """
    scaled = peak_scaled(values, axis=-1)
    square = ops.sum(ops.square(scaled), axis=-1, keepdims=True)
    # Where the vector is not 0 the sum is at least 1, the square of its peak.
    return scaled / ops.sqrt(ops.maximum(square, 0.5))


def peak_scaled(
    values: Tensor,
    axis: int | tuple[int, ...] | None = None,
    floor: Tensor | float = TINY,
) -> Tensor:
    """Return values divided by their largest magnitude, taken as a constant.

    For functions that do not depend on the scale of `values`: there the gradient
    stays exact although the divisor is detached, and squares stay in range.

    Args:
        values: of any shape.
        axis: where the largest magnitude is taken; None: everywhere.
        floor: values whose largest magnitude is not above it become 0, without a
            gradient.
    """
    peak = ops.stop_gradient(ops.max(ops.abs(values), axis=axis, keepdims=True))
    alive = ops.greater(peak, floor)
    scaled = values / ops.where(alive, peak, ops.ones_like(peak))
    return ops.where(alive, scaled, ops.zeros_like(values))


def centered(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return (B, D) values minus their column means over the rows that count.

    The largest value of each column is subtracted first: a constant column becomes
    exactly 0, where subtracting its rounded mean would leave noise, and large
    offsets cost no digits. Rows that do not count are 0.
    """
    known = values
    if mask is not None:
        lowest = ops.full_like(values, -3e38)
        known = ops.where(ops.expand_dims(mask, -1), values, lowest)
    shift = ops.stop_gradient(ops.max(known, axis=0, keepdims=True))
    values = keep(values - shift, mask)
    mean = ops.sum(values, axis=0, keepdims=True) / count(mask, values)
    return keep(values - mean, mask)


def floor_of(values: Tensor, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Return the magnitude below which differences of `values` are rounding."""
    peak = ops.max(ops.abs(values), axis=axis, keepdims=True)
    return ops.stop_gradient(ops.maximum(peak * RESOLUTION, TINY * TINY))


def _check_mask(
    term: str, mask: Tensor, tensors: tuple[Tensor, ...], positions: bool
) -> None:
    """Refuse a mask that is not over the first axes of all (B, ..., C) tensors."""
    learner, rank = tensors[0], len(mask.shape)
    most = max(1, len(learner.shape) - 1) if positions else 1
    if not 1 <= rank <= most or _unlike(mask.shape, learner.shape[:rank]):
        allowed = f"(batch,), here ({learner.shape[0]},)"
        if most > 1:
            allowed += f", or of positions, here {tuple(learner.shape[:most])}"
        raise ValueError(
            f"{term} needs a mask of shape {allowed}; found {tuple(mask.shape)}"
        )
    for source in tensors[1:]:
        if _unlike(learner.shape[:rank], source.shape[:rank]):
            raise ValueError(
                f"{term} needs the same positions on both sides; learner has shape "
                f"{tuple(learner.shape)}, source has shape {tuple(source.shape)}"
            )


def _unlike(first: Shape, second: Shape) -> bool:
    """Whether two static shapes cannot be the same."""
    if len(first) != len(second):
        return True
    return any(_differ(one, other) for one, other in zip(first, second, strict=True))


def _check_batch(term: str, tensors: tuple[Tensor, ...]) -> None:
    for tensor in tensors:
        if len(tensor.shape) == 0:
            raise ValueError(
                f"{term} needs tensors of shape (batch, ...); found a scalar"
            )
    rows = [tensor.shape[0] for tensor in tensors]
    for other in rows[1:]:
        if _differ(rows[0], other):
            raise ValueError(
                f"{term} needs the same rows on both sides; learner has {rows[0]}, "
                f"source has {other}"
            )


def _differ(first: int | None, second: int | None) -> bool:
    """Whether two static sizes are both known and not equal."""
    return first is not None and second is not None and first != second
