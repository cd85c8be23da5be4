"""The loss of one batch: the objective, its parts in the history, and its weights."""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import ops

from coloss.joint.autodiff.replica_loss import replica_scaled
from coloss.joint.balance.loss import BalancedLoss, member_means
from coloss.joint.base import JointBase
from coloss.joint.inputs.missing_rows import clean, replace_rows
from coloss.joint.keras_internals import mask_of
from coloss.joint.members import FUSED
from coloss.joint.outputs.forward import Forward
from coloss.joint.outputs.frozen import split_said
from coloss.joint.values.batch_values import BatchValues
from coloss.joint.values.metric_values import forward_of, update_metrics
from coloss.joint.values.transfer_terms import TransferTerms
from coloss.objective.rows import evaluate
from coloss.typing import Nested, Tensor


def _infinite(inputs: Nested) -> Tensor:
    """Return how many numbers of a member's inputs are infinite."""
    number = ops.zeros((), dtype="float32")
    for leaf in keras.tree.flatten(inputs):
        tensor = ops.convert_to_tensor(leaf)
        if keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype)):
            number = number + ops.sum(ops.cast(ops.isinf(tensor), "float32"))
    return number


class ComputeLossMixin(JointBase):
    """`compute_loss`, where everything that is minimized comes together."""

    def compute_loss(
        self,
        x: Mapping[str, Nested] | None = None,
        y: Nested = None,
        y_pred: Mapping[str, Tensor] | None = None,
        sample_weight: Nested = None,
        training: bool = True,
    ) -> Tensor:
        """Return the objective on one batch, and log its parts.

        With a weighting or an aggregator the value is that of the objective as
        written, too; its gradient is what moves the networks.

        Args:
            x: inputs by member.
            y: labels, for all or by member.
            y_pred: outputs by member, from `call`.
            sample_weight: weights of the supervised losses, for all or by member.
            training: whether this is a training step.
        """
        settings = self.compiled_settings
        forward = self._step_context.take() or self._rebuilt(x, y_pred or {})
        batch = self.batch_of(forward, y, sample_weight, training)
        if self._auxiliary.running_accuracy.names:
            TransferTerms(batch, self._auxiliary).observe(training)
        if self._auxiliary.balance.plan.is_plain:
            total, parts, size = 0.0, {}, forward.size
            for summand, name in settings.summands:
                value = evaluate(summand, batch).value()
                parts[name] = (value, size)
                total = total + value
            parts |= member_means(settings, batch, size)
            settings.loss_tracker.update_state(parts)
            for regularizer in self.losses:
                total = total + ops.sum(ops.cast(regularizer, "float32"))
        else:
            balanced = BalancedLoss(self, batch, (y, sample_weight))
            total, parts = balanced.total(training)
            settings.loss_tracker.update_state(parts)
        if self._step_context.is_open:
            update_metrics(settings.metrics, batch, (y_pred or {}).get(FUSED))
            self._step_context.counted = True
        total = ops.convert_to_tensor(total, dtype="float32")
        return replica_scaled(self._unless_flawed(total, batch, x, training))

    def compute_metrics(
        self,
        x: Nested,
        y: Nested,
        y_pred: Mapping[str, Tensor],
        sample_weight: Nested = None,
    ) -> dict[str, Tensor]:
        """Update every member's metrics, and return all results.

        Within a step the metrics were updated beside the loss, which knows the masks
        of the outputs: on JAX they do not come out of the gradient with `y_pred`.

        Args:
            x: inputs by member.
            y: labels, for all or by member.
            y_pred: outputs by member, from `call`.
            sample_weight: weights, for all or by member.
        """
        if not self._step_context.take_counted():
            forward = forward_of({n: y_pred[n] for n in self._member_names})
            batch = self.batch_of(forward, y, sample_weight)
            update_metrics(self.compiled_settings.metrics, batch, y_pred.get(FUSED))
        return self.get_metrics_result()

    def _unless_flawed(
        self,
        total: Tensor,
        batch: BatchValues,
        x: Mapping[str, Nested] | None,
        training: bool,
    ) -> Tensor:
        """Return NaN where the batch holds what no loss is defined for, and report it.

        In training, an infinite input shows in the loss or in a gradient.
        """
        names = self._member_names
        nothing = ops.zeros((), dtype="float32")
        infinite: dict[str, Tensor] = {}
        if x is not None and not training:
            own, said = split_said(x)
            members = {n: one for n, one in self.members.items() if n not in said}
            read = self.assembly.by_member(members, own)
            infinite = {name: _infinite(inputs) for name, inputs in read.items()}
        if not batch.out_of_range and not infinite:
            return total
        flaws = ops.stack(
            [
                ops.stack([found.get(name, nothing) for name in names])
                for found in (batch.out_of_range, infinite)
            ]
        )
        self.compiled_settings.step_report.note_flaws(flaws)
        return ops.where(ops.any(flaws > 0), ops.full_like(total, float("nan")), total)

    def _rebuilt(
        self, x: Mapping[str, Nested] | None, y_pred: Mapping[str, Tensor]
    ) -> Forward:
        """Return a forward pass from predictions made outside of a step."""
        if any(self.compiled_settings.tapped.values()):
            raise RuntimeError(
                "compute_loss() reads layers of the members, and was not called within "
                "a train or test step. Use train_step, test_step, fit or evaluate."
            )
        forward = Forward()
        read = {} if x is None else self.assembly.by_member(self.members, x)
        for name in self._member_names:
            present = clean(read[name])[1] if x is not None else None
            forward.present[name] = present
            forward.outputs[name] = replace_rows(y_pred[name], present, 1.0)
            forward.masks[name] = mask_of(y_pred[name])
        return forward
