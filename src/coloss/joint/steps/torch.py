"""The guarded train step on PyTorch."""

from __future__ import annotations

from typing import Any

import keras
import torch

from coloss.joint.autodiff.torch import pull_back
from coloss.joint.steps.combined import balance_of, balanced, rates_of
from coloss.joint.steps.watched_variables import moved_by_forward, watched


class Steps:
    """Mixin before `keras.Model`: a step that is not finite changes no weights.

    From the first step whose loss or gradient is not finite until the metrics are
    reset, all weights and slots stay as they were, and the logged loss is not finite,
    which `NonFiniteGuard` turns into an error. A variable that the loss does not reach
    gets the gradient 0, as on JAX.
    """

    guarded = True
    """False: Keras's own step, without the guard."""

    def train_step(self: Any, data: Any) -> Any:
        """Run one step.

        Args:
            data: one batch, as Keras gives it.

        Returns:
            The logs.
        """
        balance = balance_of(self)
        if balance is None and not self.guarded:
            return super().train_step(data)  # type: ignore[misc]
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        moved = [(v, v.value.detach().clone()) for v in moved_by_forward(self)]
        self.zero_grad()
        y_pred = self(x, training=True) if self._call_has_training_arg else self(x)
        loss = self._compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
        )
        variables = self.trainable_weights[:]
        rates = None
        if balance is None:
            gradients = gradients_of(self.optimizer.scale_loss(loss), variables)
        else:
            basis = self._step_context.take_basis()
            values = (
                [self.optimizer.scale_loss(loss)] if basis is None else basis.values
            )
            pull = pull_back(values, [variable.value for variable in variables])
            gradients = balanced(balance, self, pull, basis, variables)
            rates = balance.rates()
        with torch.no_grad():
            seen = loss.detach()
            if not self._gradients_finite(gradients, variables):
                seen = seen * float("nan")
            self._loss_tracker.update_state(seen, sample_weight=_rows(x))
            # The sum over the epoch is finite as long as every step was.
            if bool(torch.isfinite(self._loss_tracker.total.value)):
                slowed = [
                    (place, rate, variables[place].value.detach().clone())
                    for place, rate in rates_of(self, rates)
                ]
                if variables:
                    self.optimizer.apply(gradients, variables)
                for place, rate, before in slowed:
                    moved = variables[place].value - before
                    variables[place].assign(before + rate.to(before.dtype) * moved)
            else:
                for variable, before in moved:
                    variable.assign(before)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _gradients_finite(self: Any, gradients: list[Any], variables: Any) -> bool:
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return True  # It skips such steps itself, and lowers the scale.
        return finite([gradients[i] for i in watched(self, variables)])


def gradients_of(loss: Any, variables: list[Any]) -> list[Any]:
    """Return the gradient of each variable; 0 where the loss does not reach it."""
    if loss.requires_grad:
        loss.backward()
    grads = [variable.value.grad for variable in variables]
    return [
        torch.zeros_like(variable.value) if grad is None else grad
        for grad, variable in zip(grads, variables, strict=True)
    ]


def finite(gradients: list[Any]) -> bool:
    """Return whether every number of every gradient is finite."""
    if not gradients:
        return True
    # x * 0 is 0 for finite x, else NaN; one reduction each, one wait for all.
    return bool(torch.isfinite(torch.stack([(g * 0).sum() for g in gradients])).all())


def _rows(x: Any) -> int:
    first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    return int(first.shape[0])
