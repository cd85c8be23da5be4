"""What the metrics of the members and of the fused prediction read of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keras import ops

from coloss.joint.inputs.missing_rows import rows_present
from coloss.joint.keras_internals import mask_of
from coloss.joint.members import FUSED
from coloss.joint.outputs.forward import Forward
from coloss.joint.supervision.metrics import MemberMetric
from coloss.joint.values.batch_values import BatchValues, fused_loss
from coloss.transfer.masks import both, raised
from coloss.typing import Tensor


def update_metrics(
    metrics: Iterable[MemberMetric], batch: BatchValues, fused: Tensor | None
) -> None:
    """Update every metric with one batch.

    Args:
        metrics: those of every member.
        batch: what the members' names mean on it.
        fused: the fused prediction, NaN in rows that no member sees; None: there is
            none.
    """
    batches = {FUSED: None if fused is None else _fused_batch(batch, fused)}
    for one in metrics:
        source = batches.get(one.member, batch)
        labels = None if source is None else source.labels(one.member)
        if source is not None and labels is not None:
            outputs = source.forward.outputs[one.member]
            loss = source.losses[one.member]
            one.update(loss, labels, outputs, source.positions(one.member))


def forward_of(outputs: Mapping[str, Tensor]) -> Forward:
    """Return a forward pass of predictions alone, NaN where an input is missing."""
    forward = Forward(outputs=dict(outputs))
    for name, output in outputs.items():
        forward.present[name] = rows_present(output)
        forward.masks[name] = mask_of(output)
    return forward


def _fused_batch(batch: BatchValues, output: Tensor) -> BatchValues | None:
    """Return the fused prediction as the one member of a batch."""
    loss = fused_loss(batch.losses)
    labels = batch.raw_labels
    own = next((name for name in (FUSED, *batch.members) if name in labels), None)
    if loss is None or own is None:
        return None
    forward = Forward({FUSED: output}, {FUSED: rows_present(output)})
    forward.masks[FUSED] = _fused_mask(batch.forward)
    weights = {name: weight for name, weight in batch.weights.items() if name == FUSED}
    return BatchValues(
        forward, batch.members, {FUSED: loss}, {FUSED: labels[own]}, weights, {}
    )


def _fused_mask(forward: Forward) -> Tensor | None:
    """Return where no member that sees the row masks the position; None: nowhere."""
    found = None
    for name, mask in forward.masks.items():
        if mask is None:
            continue
        present = forward.present.get(name)
        if present is not None:
            absent = raised(ops.logical_not(present), len(mask.shape))
            mask = ops.logical_or(mask, absent)
        found = both(found, mask)
    return found
