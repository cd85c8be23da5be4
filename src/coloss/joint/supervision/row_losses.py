"""A member's loss on each row of a batch, from the positions that count."""

from __future__ import annotations

from keras import ops

from coloss.joint.inputs.missing_rows import replace_rows
from coloss.joint.supervision.labels import Labels
from coloss.joint.supervision.member_loss import CUSTOM, SPARSE, MemberLoss
from coloss.joint.supervision.positions import Positions
from coloss.transfer.masks import raised
from coloss.typing import Tensor


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
    safe = safe_outputs(loss, ops.cast(outputs, "float32"), positions)
    # A tensor of its own: on TensorFlow Keras looks for logits behind a network's
    # output, and takes those of a softmax for those of a sigmoid.
    safe = ops.copy(safe) if rows is None else safe
    values, weight = positions.row_values(loss(labels.values, safe))
    if weight is not None and rows is not None:
        weight = ops.where(rows, weight, ops.ones_like(weight))
    return replace_rows(values, rows, 0.0), weight


def safe_outputs(loss: MemberLoss, outputs: Tensor, positions: Positions) -> Tensor:
    """Return outputs that are harmless where they do not count: 1.

    Args:
        loss: the member's loss.
        outputs: (batch, ...).
        positions: what counts of them.
    """
    outputs = replace_rows(outputs, positions.rows, 1.0)
    counted, rank = positions.counted, len(outputs.shape)
    if counted is None or len(counted.shape) == 1:
        return outputs
    if loss.kind == CUSTOM:
        if len(counted.shape) > rank:
            return outputs
        # A user's own loss may read the neighbors of a position: it is given the
        # outputs as they are, but for those that are not finite.
        keep = ops.logical_or(raised(counted, rank), ops.isfinite(outputs))
    elif loss.kind == SPARSE or len(counted.shape) < rank:
        keep = raised(ops.expand_dims(counted, loss.axis), rank)
    else:
        return outputs
    return ops.where(keep, outputs, ops.ones_like(outputs))
