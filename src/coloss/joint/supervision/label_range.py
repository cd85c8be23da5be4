"""Labels that no class stands for: each backend takes them in a way of its own."""

from __future__ import annotations

import keras
from keras import ops

from coloss.joint.supervision.member_loss import BINARY, SPARSE, MemberLoss
from coloss.typing import Tensor


def within_range(
    labels: Tensor, loss: MemberLoss, classes: int | None
) -> tuple[Tensor, Tensor | None]:
    """Return labels with -1 for those out of range, and the number of these.

    A sparse loss reads another class's output for them on JAX, gives NaN or an error on
    TensorFlow, and an error without the member's name on PyTorch.

    Args:
        labels: (batch, ...) of a member.
        loss: its loss.
        classes: its outputs; None: not known.

    Returns:
        The labels, and a float32 scalar; None where no label can be out of range.
    """
    labels = ops.convert_to_tensor(labels)
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if dtype == "bool" or loss.kind not in (SPARSE, BINARY):
        return labels, None
    limit = 1 if loss.kind == BINARY else classes and classes - 1
    if limit is None:
        return labels, None
    bad = ops.logical_or(labels > limit, _below(labels, dtype))
    ignored = loss.ignore_class
    if loss.kind == SPARSE and ignored is not None:
        bad = ops.logical_and(bad, labels != ignored)
    if dtype.startswith("uint"):
        labels = ops.cast(labels, "int32")
    labels = ops.where(bad, ops.full_like(labels, -1), labels)
    return labels, ops.sum(ops.cast(bad, "float32"))


def _below(labels: Tensor, dtype: str) -> Tensor:
    if dtype.startswith("uint"):
        return ops.zeros_like(labels, dtype="bool")
    return labels < -1
