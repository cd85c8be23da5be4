"""The guarded train step on JAX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import jax
import keras
from jax import numpy as jnp

from coloss.joint.balance.gradient_basis import GradientBasis
from coloss.joint.balance.state import Balance
from coloss.joint.base import StepBase
from coloss.joint.steps.combined import balance_of, balanced, rates_of
from coloss.joint.steps.moved_variables import moved_by_forward
from coloss.joint.steps.overflow import RANGE, RATE, SQUARES, clears, scales_loss, slots
from coloss.joint.supervision.step_report import (
    FINE,
    GRADIENT,
    STATE,
    UPDATE,
    StepReport,
    report_of,
)
from coloss.typing import Nested, Tensor

Values: TypeAlias = list[Tensor]
"""Of variables, in order."""

TrainState: TypeAlias = tuple[Values, Values, Values, Values]
"""The values of trainable, other, optimizer and metrics variables."""

Moves: TypeAlias = Sequence[tuple[int, Tensor]]
"""Position and factor of each update that is scaled."""

Updates: TypeAlias = tuple[Tensor, Nested, Values, Values]
"""The loss, the outputs, and the other and the metrics variables after a pass."""

Stepped: TypeAlias = tuple[dict[str, Tensor], TrainState]
"""The logs of a step, and the state after it."""


class Steps(StepBase):
    """Mixin before `keras.Model`: a step that is not finite changes no weights.

    From the first step whose loss, gradients, new weights or slots are not finite until
    the metrics are reset, all variables but the metrics stay as they were, and the
    logged loss is not finite, which `NonFiniteGuard` turns into an error. The test is
    made on the device and waits for no word from it.
    """

    guarded = True
    """False: Keras's own step, without the guard; for measuring what that costs."""

    def train_step(self, state: TrainState, data: Nested) -> Stepped:
        """Run one step.

        Args:
            state: trainable, other, optimizer and metrics variables, four lists.
            data: one batch, as Keras gives it.

        Returns:
            The logs, and the new state.
        """
        if not self.guarded and balance_of(self) is None:
            return super().train_step(state, data)
        return self._taken(state, data, guarded=True)

    def trusting_step(self, state: TrainState, data: Nested) -> Stepped:
        """Run one step whatever comes of it; the caller looks, and can go back.

        Args:
            state: as of `train_step`.
            data: one batch, as Keras gives it.

        Returns:
            The logs, and the new state.
        """
        with self._step_context.open():
            return self._taken(state, data, guarded=False)

    def _taken(self, state: TrainState, data: Nested, *, guarded: bool) -> Stepped:
        balance = balance_of(self)
        if balance is not None:
            return self._balanced_step(balance, state, data, guarded)
        trainable, other, slots, metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        gradient = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (_, aux), grads = gradient(
            trainable,
            other,
            metrics,
            x,
            y,
            sample_weight,
            training=True,
            optimizer_variables=slots,
        )
        return self._finish(state, (x, y, sample_weight), grads, aux, guarded)

    def _balanced_step(
        self, balance: Balance, state: TrainState, data: Nested, guarded: bool
    ) -> Stepped:
        """Run one step in which a weighting or an aggregator has a hand."""
        trainable, other, slots, metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        handed: GradientBasis | None = None

        def minimized(
            trainable: Values,
        ) -> tuple[Values, tuple[Updates, list[Tensor | None]]]:
            nonlocal handed
            loss, aux = self.compute_loss_and_updates(
                trainable,
                other,
                metrics,
                x,
                y,
                sample_weight,
                training=True,
                optimizer_variables=slots,
            )
            handed = self._step_context.take_basis()
            if handed is None:
                return [loss], (aux, [])
            return handed.values, (aux, handed.tables)

        found = jax.vjp(minimized, trainable, has_aux=True)
        values, pull_back, (aux, tables) = found
        basis = None if handed is None else handed.outside(values, tables)

        def pull(factors: Mapping[int, Tensor], places: list[int]) -> Values:
            cotangents = [
                jnp.asarray(factors.get(k, 0.0), value.dtype)
                for k, value in enumerate(values)
            ]
            found = pull_back(cotangents)[0]
            return [found[place] for place in places]

        variables, others = self.trainable_variables, self.non_trainable_variables
        loss, y_pred, new_other, metrics = aux
        before = [*zip(variables, trainable, strict=True)]
        before += zip(others, new_other, strict=True)
        with keras.StatelessScope(state_mapping=before) as scope:
            grads = balanced(balance, self, pull, basis, variables)
            rates = balance.rates()
        new_other = [scope.get_current_value(variable) for variable in others]
        aux = (loss, y_pred, new_other, metrics)
        return self._finish(state, (x, y, sample_weight), grads, aux, guarded, rates)

    def _finish(
        self,
        state: TrainState,
        data: tuple[Nested, Nested, Nested],
        grads: Values,
        aux: Updates,
        guarded: bool,
        rates: Tensor | None = None,
    ) -> Stepped:
        """Update variables and metrics, where the step was good."""
        (trainable, other, optimizer, _), (x, y, sample_weight) = state, data
        loss, y_pred, new_other, metrics = aux
        moves = list(rates_of(self, rates))
        if not guarded:
            logs, metrics = self._update_metrics_variables(
                metrics, loss, x, y, y_pred, sample_weight
            )
            moved = self._update(None, grads, trainable, optimizer, moves)
            return logs, (moved[0], new_other, moved[1], metrics)
        place = self._flaw((trainable, other, optimizer), grads, new_other, moves)
        loss = jnp.where(place[0] == FINE, loss, jnp.nan)
        logs, metrics = self._update_metrics_variables(
            metrics, loss, x, y, y_pred, sample_weight
        )
        report = report_of(self)
        if report is not None and report.skips:
            good = jnp.isfinite(loss)
            kept = [
                jnp.where(good, new, old)
                for new, old in zip(metrics, state[3], strict=True)
            ]
            logs, metrics = self._skipped(report, kept, good)
        else:
            metrics = self._reported(metrics, place)
            # The mean over the epoch is finite as long as every step was.
            good = jnp.isfinite(logs.get("loss", loss))
        trainable, optimizer = self._update(good, grads, trainable, optimizer, moves)
        other = [
            jnp.where(good, new, old) for new, old in zip(new_other, other, strict=True)
        ]
        return logs, (trainable, other, optimizer, metrics)

    def _skipped(
        self, report: StepReport, metrics: Values, good: Tensor
    ) -> tuple[dict[str, Tensor], Values]:
        """Return logs and metrics after a step, counted where it was skipped."""
        pairs = list(zip(self.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(state_mapping=pairs) as scope:
            report.note_skipped(jnp.logical_not(good))
            logs = dict(self.get_metrics_result())
        return logs, [scope.get_current_value(variable) for variable, _ in pairs]

    def _reported(self, metrics: Values, place: Tensor) -> Values:
        report = report_of(self)
        if report is None:
            return metrics
        pairs = list(zip(self.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(state_mapping=pairs) as scope:
            report.note_place(place)
        return [scope.get_current_value(variable) for variable, _ in pairs]

    def _purge_model_variables(self, **which: bool) -> None:
        """Keep the values where Keras drops them for the time of a step.

        An error while a step is traced (a layer called twice, a wrong shape) would
        leave the networks without weights. It costs no memory: a compiled step is
        given the buffers all the same.
        """

    def _flaw(
        self,
        state: tuple[Values, Values, Values],
        grads: Values,
        new_other: Values,
        moves: Moves,
    ) -> Tensor:
        """Return what would not be finite after this step, and the variable's position.

        A step that is cleared by the size of its gradients is not looked at further.

        Args:
            state: trainable, other and optimizer variables before the step.
            grads: of the trainable variables.
            new_other: the other variables after the forward pass.
            moves: position and factor of each update that is scaled.

        Returns:
            (2,) float32: one of the kinds of `step_report`, and a position.
        """
        trainable, other, optimizer = state
        pairs = list(zip(self.optimizer.variables, optimizer, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            cleared = clears(self.optimizer, self.trainable_variables)
        moved = self._flaw_of_forward(other, new_other)
        if cleared is not False:
            cleared &= sum_of_squares(grads) <= SQUARES
            for _, rate in moves:
                cleared &= jnp.abs(rate) <= RATE

        def look(before: Nested) -> tuple[Tensor, Tensor]:
            del before
            place = self._flaw_of_update(grads, trainable, optimizer, moves)
            return jnp.zeros((), bool), place

        if cleared is False:
            place = look(None)[1]
        else:
            # A loop, not a branch: over a population of runs a branch would be taken
            # by all of them at every step; the loop, only where one of them needs it.
            start = (jnp.logical_not(cleared), jnp.zeros((2,), "float32"))
            place = jax.lax.while_loop(lambda carry: carry[0], look, start)[1]
        return place if moved is None else jnp.where(moved[0] > 0, moved, place)

    def _flaw_of_forward(self, other: Values, new_other: Values) -> Tensor | None:
        """Return where a layer turned a finite state into one that is not."""
        moved = {id(variable) for variable in moved_by_forward(self)}
        spoilt = [
            jnp.any(jnp.isfinite(old) & ~jnp.isfinite(new))
            if id(variable) in moved and jnp.issubdtype(new.dtype, jnp.inexact)
            else None
            for variable, old, new in zip(
                self.non_trainable_variables, other, new_other, strict=True
            )
        ]
        places = [i for i, flag in enumerate(spoilt) if flag is not None]
        if not places:
            return None
        return _first(STATE, [spoilt[i] for i in places], places)

    def _flaw_of_update(
        self, grads: Values, trainable: Values, optimizer: Values, moves: Moves
    ) -> Tensor:
        """Take the step on the side, and return where it is not finite."""
        ours = {id(variable) for variable in slots(self.optimizer)}
        new, new_slots = self._update(None, grads, trainable, optimizer, moves)
        flags = [~_within(array, RANGE) for array in new]
        lost = [
            ~_within(array, RANGE)
            for variable, array in zip(self.optimizer.variables, new_slots, strict=True)
            if id(variable) in ours
        ]
        if lost:  # Which slot is of no interest to anyone.
            flags.append(jnp.any(jnp.stack(lost)))
        place = _first(UPDATE, flags, range(len(flags)))
        if scales_loss(self.optimizer):
            return place  # It skips bad gradients itself, and lowers the scale.
        flags = [~_within(grad, jnp.inf) for grad in grads]
        bad = _first(GRADIENT, flags, range(len(flags)))
        return jnp.where(bad[0] > 0, bad, place)

    def _update(
        self,
        good: Tensor | None,
        grads: Values,
        trainable: Values,
        optimizer: Values,
        moves: Moves,
    ) -> tuple[Values, Values]:
        """Apply the gradients where the step was good; None: whatever it is."""
        if not grads:
            return list(trainable), list(optimizer)
        started = trainable
        if scales_loss(self.optimizer):
            # It branches inside its own update, which no outer scope may look into.
            def apply() -> tuple[Values, Values]:
                found = self.optimizer.stateless_apply(optimizer, grads, trainable)
                return list(found[0]), list(found[1])

            found = (
                apply()
                if good is None
                else jax.lax.cond(
                    good, apply, lambda: (list(trainable), list(optimizer))
                )
            )
            trainable, optimizer = found
        else:
            variables, others = self.trainable_variables, self.optimizer.variables
            before = [*zip(variables, trainable, strict=True)]
            before += zip(others, optimizer, strict=True)
            with _Kept(before, good) as scope:
                self.optimizer.apply(list(grads), variables)
            after = [scope.get_current_value(variable) for variable, _ in before]
            trainable, optimizer = after[: len(variables)], after[len(variables) :]
        for place, rate in moves:
            # Of a bad step the rates may be anything.
            if good is not None:
                rate = jnp.where(good, rate, 1.0)
            moved = trainable[place] - started[place]
            trainable[place] = started[place] + rate.astype(moved.dtype) * moved
        return trainable, optimizer


class _Kept(keras.StatelessScope):
    """Assignments that keep the old value where a step was not good.

    Selecting at each assignment lets XLA fuse it with the update. Behind the whole
    update it copies all weights, because a new slot is then needed twice: as it is
    for the weight's update, and selected.
    """

    def __init__(
        self, before: list[tuple[keras.Variable, Tensor]], good: Tensor | None
    ) -> None:
        super().__init__(state_mapping=before)
        self._good = good

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        variable, value = update
        old = self.get_current_value(variable)
        if old is not None and self._good is not None:
            value = jnp.where(self._good, value, old)
        super().add_update((variable, value))


def sum_of_squares(arrays: Values) -> Tensor:
    """Return the sum of squares of all arrays; not finite where a number is not.

    It also overflows for some finite arrays. A vector product reads an array at the
    speed of the memory; XLA's other reductions take two to six times as long on a CPU.
    """
    total = jnp.zeros((), "float32")
    for array in arrays:
        flat = jnp.ravel(array).astype("float32")
        total = total + jnp.vdot(flat, flat)
    return total


def _within(array: Tensor, size: float) -> Tensor:
    """Return whether all numbers are finite, and none is larger than a size."""
    size = min(size, float(jnp.finfo(array.dtype).max))
    return jnp.all(jnp.abs(array) <= size)


def _first(kind: int, flags: Values, places: Iterable[int]) -> Tensor:
    """Return (2,): the kind and the place of the first flag that is set, or zeros."""
    if not flags:
        return jnp.zeros((2,), "float32")
    stacked = jnp.stack(flags)
    place = jnp.asarray(list(places), "float32")[jnp.argmax(stacked)]
    found = jnp.stack([jnp.float32(kind), place])
    return jnp.where(jnp.any(stacked), found, jnp.zeros((2,), "float32"))
