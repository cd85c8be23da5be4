"""The guarded train step on PyTorch."""

from __future__ import annotations

from typing import Literal

import keras
import torch

from coloss.joint.autodiff.torch import pull_back
from coloss.joint.base import StepBase
from coloss.joint.steps.combined import balance_of, balanced
from coloss.joint.steps.moved_variables import moved_by_forward
from coloss.joint.steps.overflow import RANGE, RATE, SQUARES, clears, scales_loss, slots
from coloss.joint.steps.update import Update
from coloss.joint.supervision.step_report import (
    FINE,
    GRADIENT,
    STATE,
    UPDATE,
    report_of,
)
from coloss.typing import Nested, Tensor


class Steps(StepBase):
    """Mixin before `keras.Model`: a step that is not finite changes no weights.

    From the first step whose loss, gradients, new weights or slots are not finite until
    the metrics are reset, all weights and slots stay as they were, and the logged loss
    is not finite, which `NonFiniteGuard` turns into an error. A variable that the loss
    does not reach gets the gradient 0, as on JAX.
    """

    guarded = True
    """False: Keras's own step, without the guard; for measuring what that costs."""

    def train_step(self, data: Nested) -> dict[str, Tensor]:
        """Run one step.

        Args:
            data: one batch, as Keras gives it.

        Returns:
            The logs.
        """
        balance = balance_of(self)
        if balance is None and not self.guarded:
            return super().train_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        moved = [(v, v.value.detach().clone()) for v in moved_by_forward(self)]
        report = report_of(self)
        counted = self.metrics_variables if report is not None and report.skips else []
        before = [v.value.detach().clone() for v in counted]
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
        step = _Step(self, loss.detach(), gradients, variables, moved, rates)
        with torch.no_grad():
            seen = self._take(step)
            if report is not None and counted and not bool(torch.isfinite(seen)):
                for variable, value in zip(counted, before, strict=True):
                    variable.assign(value)
                report.note_skipped(torch.tensor(True))
            else:
                self._loss_tracker.update_state(seen, sample_weight=_rows(x))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _take(self, step: _Step) -> Tensor:
        """Update the variables where the step is good, and return the loss to log."""
        # The sum over the epoch is finite as long as every step was.
        going = torch.isfinite(self._loss_tracker.total.value + step.loss)
        if bool(going & step.cleared()):  # One wait for the device.
            step.update()
            return step.loss
        kind, place = step.update_or_restore() if bool(going) else step.flaw()
        if not bool(going):
            step.restore_forward()
        if kind == FINE:
            return step.loss
        report = report_of(self)
        if report is not None:
            report.note_place(torch.tensor([kind, place]).float())
        return step.loss * float("nan")


class _Step(Update):
    """An update whose flaws are looked for in Python."""

    def cleared(self) -> Tensor | Literal[False]:
        """Return whether the step needs no further look; a scalar bool."""
        optimizer = self._model.optimizer
        if not self._gradients:
            return torch.isfinite(self.loss)
        cleared = clears(optimizer, self._variables)
        if cleared is False:
            return False
        norms = torch._foreach_norm(self._gradients)
        # The norm of the norms: NaN and infinity pass through.
        cleared = cleared & (torch.stack(norms).norm() <= SQUARES**0.5)
        for _, rate in self._factors:
            cleared = cleared & (rate.abs() <= RATE)
        lost = self._lost_in_forward()
        return cleared & ~torch.stack(lost).any() if lost else cleared

    def flaw(self) -> tuple[int, int]:
        """Return what is not finite before the update, and the variable's position."""
        for (variable, _), lost in zip(
            self._floats(), self._lost_in_forward(), strict=True
        ):
            if bool(lost):
                others = [id(one) for one in self._model.non_trainable_variables]
                return STATE, others.index(id(variable))
        if not scales_loss(self._model.optimizer):  # It skips such steps itself.
            for place, gradient in enumerate(self._gradients):
                if not bool(torch.isfinite(gradient).all()):
                    return GRADIENT, place
        return FINE, 0

    def update(self) -> None:
        """Apply the gradients, and scale what moved where a weighting says so."""
        if not self._variables:
            return
        slowed = [
            (place, rate, self._variables[place].value.detach().clone())
            for place, rate in self._factors
        ]
        self._model.optimizer.apply(self._gradients, self._variables)
        for place, rate, before in slowed:
            moved = self._variables[place].value - before
            self._variables[place].assign(before + rate.to(before.dtype) * moved)

    def update_or_restore(self) -> tuple[int, int]:
        """Update unless something is not finite before or after; return the flaw."""
        kind, place = self.flaw()
        if kind == FINE and self._variables:
            optimizer = self._model.optimizer
            if not optimizer.built:  # A second time it would make other variables.
                optimizer.build(self._variables)
            touched = {id(v): v for v in [*self._variables, *optimizer.variables]}
            before = [(v, v.value.detach().clone()) for v in touched.values()]
            self.update()
            checked = [*self._variables, *slots(optimizer)]
            found = [i for i, v in enumerate(checked) if not _within(v.value)]
            if found:
                kind, place = UPDATE, min(found[0], len(self._variables))
                for variable, value in before:
                    variable.assign(value)
        if kind != FINE:
            self.restore_forward()
        return kind, place

    def _floats(self) -> list[tuple[keras.Variable, Tensor]]:
        return [pair for pair in self._moved if pair[1].is_floating_point()]

    def _lost_in_forward(self) -> list[Tensor]:
        return [
            (torch.isfinite(before) & ~torch.isfinite(variable.value)).any()
            for variable, before in self._floats()
        ]


def _within(value: Tensor) -> bool:
    """Return whether all numbers are finite, and none is beyond the range."""
    size = min(RANGE, torch.finfo(value.dtype).max)
    return bool((value.abs() <= size).all())


def gradients_of(loss: Tensor, variables: list[keras.Variable]) -> list[Tensor]:
    """Return the gradient of each variable; 0 where the loss does not reach it."""
    if loss.requires_grad:
        loss.backward()
    grads = [variable.value.grad for variable in variables]
    return [
        torch.zeros_like(variable.value) if grad is None else grad
        for grad, variable in zip(grads, variables, strict=True)
    ]


def _rows(x: Nested) -> int:
    first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    return int(first.shape[0])
