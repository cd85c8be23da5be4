"""The guarded train step on TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from coloss.joint.autodiff.replica_loss import refuse_replicas
from coloss.joint.steps.combined import balance_of, balanced, rates_of
from coloss.joint.steps.watched_variables import moved_by_forward, watched


class Steps:
    """Mixin before `keras.Model`: a step that is not finite changes no weights.

    From the first step whose loss or gradient is not finite until the metrics are
    reset, all weights and slots stay as they were, and the logged loss is not finite,
    which `NonFiniteGuard` turns into an error. Under a `tf.distribute` strategy
    TensorFlow allows no update inside a branch: there the step is Keras's own, and
    only the error remains. A variable that the loss does not reach gets the gradient
    0, as on JAX.
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
        refuse_replicas(self)
        if balance is None and (not self.guarded or tf.distribute.has_strategy()):
            return super().train_step(data)  # type: ignore[misc]
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        moved = [(v, tf.identity(v.value)) for v in moved_by_forward(self)]
        variables = self.trainable_weights
        with tf.GradientTape(persistent=balance is not None) as tape:
            y_pred = self(x, training=True) if self._call_has_training_arg else self(x)
            loss = self._compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
            )
            scaled = self.optimizer.scale_loss(loss)
        targets = [v.value for v in variables]
        rates = None
        if balance is None:
            gradients = tape.gradient(scaled, targets, unconnected_gradients="zero")
        else:
            basis = self._step_context.take_basis()
            values = [scaled] if basis is None else basis.values
            pull = _pull(tape, values, targets)
            gradients = balanced(balance, self, pull, basis, variables)
            rates = balance.rates()
        loss = tf.where(
            self._gradients_finite(gradients, variables), loss, float("nan")
        )
        self._loss_tracker.update_state(loss, sample_weight=_rows(x))

        def restore() -> None:
            for variable, before in moved:
                variable.assign(before)

        # The mean over the epoch is finite as long as every step was.
        tf.cond(
            tf.math.is_finite(self._loss_tracker.result()),
            lambda: self._update(gradients, variables, rates),
            restore,
        )
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _update(self: Any, gradients: list[Any], variables: Any, rates: Any) -> None:
        """Apply the gradients, and scale what moved where a weighting says so."""
        targets = [v.value for v in variables]
        slowed = [
            (place, rate, tf.identity(targets[place]))
            for place, rate in rates_of(self, rates)
        ]
        if variables:
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for place, rate, before in slowed:
            moved = targets[place] - before
            variables[place].assign(before + tf.cast(rate, before.dtype) * moved)

    def _gradients_finite(self: Any, gradients: list[Any], variables: Any) -> Any:
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return True  # It skips such steps itself, and lowers the scale.
        return finite([gradients[i] for i in watched(self, variables)])


def _pull(tape: Any, values: list[Any], targets: list[Any]) -> Any:
    def pull(factors: Any, places: list[int]) -> list[Any]:
        chosen = [k for k in range(len(values)) if k in factors]
        found = tape.gradient(
            [values[k] for k in chosen],
            [targets[place] for place in places],
            output_gradients=[tf.cast(factors[k], values[k].dtype) for k in chosen],
            unconnected_gradients="zero",
        )
        return [tf.convert_to_tensor(gradient) for gradient in found]

    return pull


def finite(gradients: list[Any]) -> Any:
    """Return whether every number of every gradient is finite."""
    if not gradients:
        return tf.constant(True)
    dense = [g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients]
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in dense])


def _rows(x: Any) -> Any:
    first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    return tf.shape(first)[0]
