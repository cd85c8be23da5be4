"""Class labels of a batch in which some rows, or positions, have none."""

from __future__ import annotations

from keras import ops

from coloss.transfer.masks import keep, raised
from coloss.typing import Tensor


def labeled(
    term: str, labels: Tensor, values: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return labels that are safe to use, and where there is one.

    Args:
        term: the term's name, for messages.
        labels: (B, ...) or (B, ..., 1) class numbers, unlabeled where not from 0 to
            C - 1; or (B, ..., C), the class being the largest entry, unlabeled where
            one is NaN.
        values: (B, ..., C), the learner's logits.
        mask: bool, rows (B,) or positions (B, ...) that count; None: all.

    Returns:
        (B, ...) int32 with 0 where there is no label or nothing counts, and (B, ...)
        bool, the others.

    Raises:
        ValueError: for labels of another shape.
    """
    labels = ops.convert_to_tensor(labels)
    # Exact up to 2^24 classes; NaN, which integers cannot hold, must stay.
    labels = ops.cast(labels, "float32")
    classes, shape = values.shape[-1], tuple(labels.shape)
    places, rank = tuple(values.shape[:-1]), len(values.shape)
    dense = len(shape) == rank and shape[-1] == classes
    if len(shape) == rank and shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    usable = dense or len(labels.shape) == rank - 1
    if not usable or any(
        None not in (one, other) and one != other
        for one, other in zip(places, shape, strict=False)
    ):
        raise ValueError(
            f"{term} needs labels of shape {places}, or {(*places, classes)} for the "
            f"learner's classes; found {shape}"
        )
    if dense:
        known = ops.logical_not(ops.any(ops.isnan(labels), axis=-1))
    else:
        known = ops.logical_and(labels >= 0, labels < classes)
    if mask is not None:
        known = ops.logical_and(known, raised(mask, rank - 1))
    labels = keep(labels, known)
    return ops.cast(ops.argmax(labels, -1) if dense else labels, "int32"), known


def of_class(values: Tensor, labels: Tensor) -> Tensor:
    """Return from (B, ..., C) values those of the classes (B, ...)."""
    return ops.sum(ops.where(hot(values, labels), values, ops.zeros_like(values)), -1)


def hot(values: Tensor, labels: Tensor) -> Tensor:
    """Return (B, ..., C) bool: True at the classes (B, ...)."""
    classes = ops.arange(values.shape[-1], dtype="int32")
    return ops.equal(ops.expand_dims(labels, -1), classes)
