"""A source put right by the label."""

from __future__ import annotations

from keras import ops

from coloss.transfer.labels import hot, labeled, of_class
from coloss.typing import Tensor


def corrected(source: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Logits of a source that is right wherever the label is known.

    Where the class that a source prefers is not the label, the two exchange their
    logits: the right class gets the largest, all others keep theirs. Wen, Lai and Qian
    2019, "Preparing Lessons: Improve Knowledge Distillation with Better Supervision",
    arXiv:1911.07471 (probability shift).

    Args:
        source: (B, ..., C) logits.
        labels: (B, ...) class numbers, below 0: no label; or (B, ..., C) one-hot, NaN:
            no label. A row without a label is left as it is.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.

    Returns:
        (B, ..., C) logits.
    """
    classes, known = labeled("corrected", labels, source, mask)
    first = ops.cast(ops.argmax(source, axis=-1), "int32")
    wrong = ops.logical_and(known, ops.not_equal(first, classes))
    largest = ops.expand_dims(ops.max(source, axis=-1), -1)
    true = ops.expand_dims(of_class(source, classes), -1)
    swapped = ops.where(hot(source, classes), largest, source)
    swapped = ops.where(hot(source, first), true, swapped)
    return ops.where(ops.expand_dims(wrong, -1), swapped, source)
