"""Which rows of a member have a label, and how labels reach their member.

Unlabelled: -1 for integer labels, a row of NaN for the others. What is missing is
replaced by a harmless value before any arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from coloss.joint.inputs.missing_rows import both, replace_rows
from coloss.joint.supervision.member_loss import (
    BINARY,
    CUSTOM,
    DENSE,
    SPARSE,
    MemberLoss,
)

Tensor = Any


def route(values: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what belongs to each member: a dict as it is, one array for all.

    Args:
        values: None, one array for every member, or a dict by member.
        names: the members.
    """
    if values is None:
        return {}
    if isinstance(values, Mapping):
        return {name: value for name, value in values.items() if value is not None}
    return dict.fromkeys(names, values)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels with the positions at which they are known.

    Attributes:
        values: (batch, ...), every value defined.
        known: bool, one position each: (batch,) or (batch, ...); None: all.
    """

    values: Tensor
    known: Tensor | None

    @property
    def rows(self) -> Tensor | None:
        """(batch,) bool: rows with at least one known position; None: all."""
        if self.known is None or len(self.known.shape) == 1:
            return self.known
        return ops.any(self.known, axis=tuple(range(1, len(self.known.shape))))


def read_labels(values: Tensor, loss: MemberLoss, complete: bool = False) -> Labels:
    """Tell labelled from unlabelled positions.

    Args:
        values: a batch of labels as the user gave them.
        loss: the member's loss, whose kind decides what a label is.
        complete: whether all are known to be labelled; not looked at.
    """
    values = ops.convert_to_tensor(values)
    dtype = keras.backend.standardize_dtype(values.dtype)
    floating = keras.backend.is_float_dtype(dtype)
    if loss.kind == SPARSE and len(values.shape) > 1 and values.shape[-1] == 1:
        values = ops.squeeze(values, axis=-1)
    if loss.kind == BINARY and not floating:
        values = ops.cast(values, "float32")
    if complete:
        classes = loss.kind == SPARSE and floating
        return Labels(ops.cast(values, "int32") if classes else values, None)
    if loss.kind == SPARSE or (loss.kind == CUSTOM and not floating):
        return _nonnegative(values, floating)
    if loss.kind == BINARY:
        return _binary(values)
    if loss.kind == DENSE and not floating:
        return Labels(values, ops.any(values >= 0, axis=-1))
    if not floating:
        return Labels(values, None)
    if loss.kind == DENSE or len(values.shape) > 1:
        # The last axis is one label: a class distribution, or a target vector.
        known = ops.any(ops.logical_not(ops.isnan(values)), axis=-1)
    else:
        known = ops.logical_not(ops.isnan(values))
    filled = known
    while len(filled.shape) < len(values.shape):
        filled = ops.expand_dims(filled, -1)
    return Labels(ops.where(filled, values, ops.ones_like(values)), known)


def _nonnegative(values: Tensor, floating: bool) -> Labels:
    known = values >= 0  # False for NaN, too
    values = ops.where(known, values, ops.zeros_like(values))
    return Labels(ops.cast(values, "int32") if floating else values, known)


def _binary(values: Tensor) -> Labels:
    known = values >= 0
    if len(values.shape) == 1:
        return Labels(ops.where(known, values, ops.zeros_like(values)), known)
    # The loss averages the last axis, so a label is known as a whole or not at
    # all; one that is half known becomes NaN, which stops training with its name.
    rows = ops.any(known, axis=-1)
    values = ops.where(known, values, ops.full_like(values, float("nan")))
    whole = ops.expand_dims(rows, -1)
    return Labels(ops.where(whole, values, ops.zeros_like(values)), rows)


def row_losses(
    loss: MemberLoss, labels: Labels, outputs: Tensor, present: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return a member's loss on each row, and the rows on which it is defined.

    Args:
        loss: the member's loss.
        labels: its labels.
        outputs: its predictions (batch, ...).
        present: (batch,) rows that have an input; None: all.

    Returns:
        Values (batch,) in float32, and a (batch,) bool mask or None. Values
        outside the mask are finite and carry no gradient.
    """
    rows = both(labels.rows, present)
    safe = ops.cast(outputs, "float32")
    # A tensor of its own: on TensorFlow Keras looks for logits behind a network's
    # output, and takes those of a softmax for those of a sigmoid.
    safe = ops.copy(safe) if rows is None else replace_rows(safe, rows, 1.0)
    values = loss(labels.values, safe)
    known = labels.known
    if len(values.shape) > 1 and known is not None and len(known.shape) > 1:
        counted = ops.cast(known, values.dtype)
        axes = tuple(range(1, len(values.shape)))
        total = ops.sum(ops.where(known, values, ops.zeros_like(values)), axis=axes)
        number = ops.sum(counted, axis=axes)
        values = total / ops.maximum(number, ops.ones_like(number))
    elif len(values.shape) > 1:
        values = ops.mean(values, axis=tuple(range(1, len(values.shape))))
    return replace_rows(values, rows, 0.0), rows
