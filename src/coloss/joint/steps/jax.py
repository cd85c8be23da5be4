"""The guarded train step on JAX."""

from __future__ import annotations

from typing import Any

import jax
import keras
from jax import numpy as jnp

from coloss.joint.balance.gradient_basis import GradientBasis
from coloss.joint.steps.combined import balance_of, balanced, rates_of
from coloss.joint.steps.watched_variables import watched


class Steps:
    """Mixin before `keras.Model`: a step that is not finite changes no weights.

    From the first step whose loss or gradient is not finite until the metrics are
    reset, all variables but the metrics stay as they were, and the logged loss is not
    finite, which `NonFiniteGuard` turns into an error. The test is made on the device
    and waits for no word from it.
    """

    guarded = True
    """False: Keras's own step, without the guard."""

    def train_step(self: Any, state: Any, data: Any) -> Any:
        """Run one step.

        Args:
            state: trainable, other, optimizer and metrics variables, four lists.
            data: one batch, as Keras gives it.

        Returns:
            The logs, and the new state.
        """
        balance = balance_of(self)
        if balance is not None:
            return self._balanced_step(balance, state, data)
        if not self.guarded:
            return super().train_step(state, data)  # type: ignore[misc]
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
        return self._finish(state, (x, y, sample_weight), grads, aux)

    def _balanced_step(self: Any, balance: Any, state: Any, data: Any) -> Any:
        """Run one step in which a weighting or an aggregator has a hand."""
        trainable, other, slots, metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        handed: GradientBasis | None = None

        def minimised(trainable: Any) -> Any:
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

        found = jax.vjp(minimised, trainable, has_aux=True)
        values, pull_back, (aux, tables) = found
        basis = None if handed is None else handed.outside(values, tables)

        def pull(factors: Any, places: list[int]) -> list[Any]:
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
        return self._finish(state, (x, y, sample_weight), grads, aux, rates)

    def _finish(
        self: Any, state: Any, data: Any, grads: Any, aux: Any, rates: Any = None
    ) -> Any:
        """Update variables and metrics, where the step was good."""
        (trainable, other, slots, _), (x, y, sample_weight) = state, data
        loss, y_pred, new_other, metrics = aux
        loss = jnp.where(self._gradients_finite(grads), loss, jnp.nan)
        logs, metrics = self._update_metrics_variables(
            metrics, loss, x, y, y_pred, sample_weight
        )
        # The mean over the epoch is finite as long as every step was.
        good = jnp.isfinite(logs.get("loss", loss))
        started = trainable
        trainable, slots = self._update(good, grads, trainable, slots)
        for place, rate in rates_of(self, rates):
            # Of a bad step the rates may be anything.
            rate = jnp.where(good, rate, 1.0).astype(trainable[place].dtype)
            moved = trainable[place] - started[place]
            trainable[place] = started[place] + rate * moved
        other = [
            jnp.where(good, new, old) for new, old in zip(new_other, other, strict=True)
        ]
        return logs, (trainable, other, slots, metrics)

    def _purge_model_variables(self: Any, **which: bool) -> None:
        """Keep the values where Keras drops them for the time of a step.

        An error while a step is traced (a layer called twice, a wrong shape) would
        leave the networks without weights. It costs no memory: a compiled step is
        given the buffers all the same.
        """

    def _update(
        self: Any, good: Any, grads: Any, trainable: list[Any], slots: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Apply the gradients where the step was good."""
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # It branches inside its own update, which no outer scope may look into.
            return jax.lax.cond(
                good,
                lambda: _lists(self.optimizer.stateless_apply(slots, grads, trainable)),
                lambda: (list(trainable), list(slots)),
            )
        variables, others = self.trainable_variables, self.optimizer.variables
        before = [*zip(variables, trainable, strict=True)]
        before += zip(others, slots, strict=True)
        with _Kept(before, good) as scope:
            self.optimizer.apply(list(grads), variables)
        after = [scope.get_current_value(variable) for variable, _ in before]
        return after[: len(variables)], after[len(variables) :]

    def _gradients_finite(self: Any, grads: Any) -> Any:
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return True  # It skips such steps itself, and lowers the scale.
        chosen = [grads[i] for i in watched(self, self.trainable_variables)]
        return finite(chosen)


class _Kept(keras.StatelessScope):
    """Assignments that keep the old value where a step was not good.

    Selecting at each assignment lets XLA fuse it with the update. Behind the whole
    update it copies all weights, because a new slot is then needed twice: as it is
    for the weight's update, and selected.
    """

    def __init__(self, before: list[tuple[Any, Any]], good: Any) -> None:
        super().__init__(state_mapping=before)
        self._good = good

    def add_update(self, update: tuple[Any, Any]) -> None:
        variable, value = update
        old = self.get_current_value(variable)
        if old is not None:
            value = jnp.where(self._good, value, old)
        super().add_update((variable, value))


def _lists(updated: Any) -> tuple[list[Any], list[Any]]:
    trainable, slots = updated
    return list(trainable), list(slots)


def finite(leaves: list[Any]) -> Any:
    """Return whether every number of every array is finite."""
    floats = [x for x in leaves if jnp.issubdtype(x.dtype, jnp.inexact)]
    if not floats:
        return True
    # One array, one reduction: many small ones cost more than they read.
    return jnp.all(jnp.isfinite(jnp.concatenate([jnp.ravel(x) for x in floats])))
