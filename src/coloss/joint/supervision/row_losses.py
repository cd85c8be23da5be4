"""A member's loss on each row of a batch, from the positions that count."""

from __future__ import annotations

from typing import Any

from keras import ops

from coloss.joint.inputs.missing_rows import replace_rows
from coloss.joint.supervision.labels import Labels
from coloss.joint.supervision.member_loss import CUSTOM, SPARSE, MemberLoss
from coloss.joint.supervision.positions import Positions, to_rank

Tensor = Any


def row_losses(
    loss: MemberLoss, labels: Labels, outputs: Tensor, positions: Positions
) -> tuple[Tensor, Tensor | None]:
    """Return a member's loss on each row, and the weight of each row.

    Args:
        loss: the member's loss.
        labels: its labels.
        outputs: its predictions (batch, ...).
        positions: what counts of them.

    Returns:
        Values (batch,) in float32, and weights (batch,) or None. Values outside
        `positions.rows` are finite and carry no gradient.
    """
    rows = positions.rows
    safe = ops.cast(outputs, "float32")
    # A tensor of its own: on TensorFlow Keras looks for logits behind a network's
    # output, and takes those of a softmax for those of a sigmoid.
    safe = ops.copy(safe) if rows is None else replace_rows(safe, rows, 1.0)
    if positions.counted is not None and len(positions.counted.shape) > 1:
        safe = _safe_positions(loss, safe, positions.counted)
    values, weight = positions.row_values(loss(labels.values, safe))
    if weight is not None and rows is not None:
        weight = ops.where(rows, weight, ops.ones_like(weight))
    return replace_rows(values, rows, 0.0), weight


def _safe_positions(loss: MemberLoss, outputs: Tensor, counted: Tensor) -> Tensor:
    """Return outputs that give a finite loss where a position does not count.

    A user's own loss may read neighbors of a position, so it is given the outputs as
    they are, but for those that are not finite.
    """
    if loss.kind == CUSTOM:
        if len(counted.shape) > len(outputs.shape):
            return outputs
        keep = ops.logical_or(
            to_rank(counted, len(outputs.shape)), ops.isfinite(outputs)
        )
    elif loss.kind == SPARSE or len(counted.shape) < len(outputs.shape):
        keep = ops.expand_dims(counted, loss.axis)
        keep = to_rank(keep, len(outputs.shape))
    else:
        return outputs
    return ops.where(keep, outputs, ops.ones_like(outputs))
