"""Which labels of a member are known, and how labels reach their member.

Unlabeled is -1 where labels are integer classes (sparse, yes/no and one-hot losses),
NaN where labels are floats, and never anything else: to a regression or to a user's
own loss -1 is a number like any other. What is missing is replaced by a harmless
value before any arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import ops

from coloss.joint.supervision.member_loss import (
    BINARY,
    CUSTOM,
    DENSE,
    SPARSE,
    MemberLoss,
)
from coloss.typing import ByMember, Shape, Tensor


def route(values: ByMember, names: tuple[str, ...]) -> dict[str, Tensor]:
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
        values: every value defined. Of a sparse loss (batch, ...), one class a
            position; of Keras's other losses (batch, ..., values), as the outputs;
            of a user's own loss as they were given.
        known: bool, one position each: (batch,) or (batch, ...); None: all.
        given: the same as `values`, of the rank in which the user gave them.
    """

    values: Tensor
    known: Tensor | None
    given: Tensor

    @property
    def rows(self) -> Tensor | None:
        """(batch,) bool: rows with at least one known position; None: all."""
        if self.known is None or len(self.known.shape) == 1:
            return self.known
        return ops.any(self.known, axis=tuple(range(1, len(self.known.shape))))


def read_labels(
    values: Tensor,
    loss: MemberLoss,
    outputs: Shape | None = None,
    complete: bool = False,
) -> Labels:
    """Tell labeled from unlabeled positions.

    Args:
        values: a batch of labels as the user gave them.
        loss: the member's loss, whose kind decides what a label is.
        outputs: shape of the member's outputs, with the batch; None: taken for one
            that has these labels in their usual rank.
        complete: whether all are known to be labeled; not looked at.
    """
    given = ops.convert_to_tensor(values)
    outputs = _usual_outputs(given, loss) if outputs is None else outputs
    values = _aligned(given, loss, outputs)
    if complete:
        return Labels(values, None, given)
    if loss.kind == BINARY and values.shape[-1] != 1 and _is(values, "int"):
        # A label that is half known becomes NaN, which integers cannot hold.
        values = ops.cast(values, "float32")
    known, values = _known(values, loss, len(outputs))
    if known is None:
        return Labels(values, None, given)
    given_shape = ops.shape(given)
    same = len(given_shape) == len(values.shape)
    return Labels(values, known, values if same else ops.reshape(values, given_shape))


def _usual_outputs(values: Tensor, loss: MemberLoss) -> Shape:
    shape = tuple(values.shape)
    if loss.kind == SPARSE:
        in_a_column = len(shape) > 1 and shape[-1] == 1
        return (*shape[:-1], None) if in_a_column else (*shape, None)
    return (*shape, 1) if len(shape) == 1 else shape


def _aligned(values: Tensor, loss: MemberLoss, outputs: Shape) -> Tensor:
    """Return labels in the rank that one value a position has.

    Outputs (batch, steps, 1) may have labels (batch, steps), and outputs (batch,)
    labels (batch, 1). A user's own loss is given what the user gave.
    """
    rank, wanted = len(values.shape), len(outputs)
    if loss.kind == CUSTOM:
        return values
    if loss.kind == SPARSE:
        axis = loss.axis % wanted
        if rank == wanted and values.shape[axis] == 1:
            return ops.squeeze(values, axis=axis)
        return values
    if wanted == 1:
        return ops.expand_dims(values, -1) if rank == 1 else values
    if rank + 1 == wanted and outputs[-1] == 1:
        return ops.expand_dims(values, -1)
    if rank == wanted + 1 and values.shape[-1] == 1:
        return ops.squeeze(values, axis=-1)
    return values


def _known(values: Tensor, loss: MemberLoss, rank: int) -> tuple[Tensor | None, Tensor]:
    """Return which positions have a label (None: all), and the labels without a gap."""
    floating = _is(values, "float")
    if loss.kind == SPARSE:
        return _known_classes(values, loss.ignore_class)
    if loss.kind == BINARY:
        return _known_answers(values)
    if loss.kind == DENSE and not floating:
        return _any(values >= 0, loss.axis), values
    if not floating:
        return None, values
    axis: int | None = loss.axis
    if loss.kind == CUSTOM and (len(values.shape) == 1 or len(values.shape) < rank):
        axis = None  # One number a position; else the last axis is one label.
    known = ops.logical_not(ops.isnan(values))
    whole = known
    if axis is not None:
        whole = ops.any(known, axis=axis, keepdims=True)
        known = _any(known, axis)
    return known, ops.where(whole, values, ops.ones_like(values))


def _known_classes(values: Tensor, ignored: int | None) -> tuple[Tensor | None, Tensor]:
    if _is(values, "uint") and ignored is None:
        return None, values
    known = values >= 0  # False for NaN, too.
    if ignored is not None:
        known = ops.logical_and(known, values != ignored)
    return known, ops.where(known, values, ops.zeros_like(values))


def _known_answers(values: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return which rows or positions of yes/no labels (batch, ..., n) are known."""
    if _is(values, "uint") or _is(values, "bool"):
        return None, values
    known = values >= 0
    rows = _any(known, -1)
    if values.shape[-1] != 1:
        # The loss averages the last axis, so a label is known as a whole or not at
        # all; one that is half known becomes NaN, which stops training with its name.
        values = ops.where(known, values, ops.full_like(values, float("nan")))
    whole = ops.expand_dims(rows, -1)
    return rows, ops.where(whole, values, ops.zeros_like(values))


def _any(known: Tensor, axis: int) -> Tensor:
    return ops.any(known, axis=axis)


def _is(values: Tensor, kind: str) -> bool:
    """Whether the dtype is "float", "int" (of either sign), "uint" or "bool"."""
    dtype = keras.backend.standardize_dtype(values.dtype)
    if kind == "float":
        return keras.backend.is_float_dtype(dtype)
    if kind == "int":
        return keras.backend.is_int_dtype(dtype)
    return dtype.startswith(kind)
