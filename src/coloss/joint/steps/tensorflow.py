"""The guarded train step on TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import keras
import tensorflow as tf

from coloss.joint.autodiff.replica_loss import refuse_replicas
from coloss.joint.autodiff.tensorflow import replicas
from coloss.joint.balance.gramian import Pull
from coloss.joint.base import StepBase
from coloss.joint.steps.combined import balance_of, balanced
from coloss.joint.steps.moved_variables import moved_by_forward
from coloss.joint.steps.overflow import RANGE, RATE, SQUARES, clears, scales_loss, slots
from coloss.joint.steps.update import Update
from coloss.joint.supervision.step_report import GRADIENT, STATE, UPDATE, report_of
from coloss.typing import Nested, Tensor


class Steps(StepBase):
    """Mixin before `keras.Model`: a step that is not finite changes no weights.

    From the first step whose loss, gradients, new weights or slots are not finite until
    the metrics are reset, all weights and slots stay as they were, and the logged loss
    is not finite, which `NonFiniteGuard` turns into an error. Under a `tf.distribute`
    strategy, too: there TensorFlow allows no update inside a branch, so that every step
    keeps a copy of weights and slots, and puts it back where the step was not good. A
    variable that the loss does not reach gets the gradient 0, as on JAX.
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
        refuse_replicas(self)
        if balance is None and not self.guarded:
            return super().train_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        moved = [(v, tf.identity(v.value)) for v in moved_by_forward(self)]
        report = report_of(self)
        counted = self.metrics_variables if report is not None and report.skips else []
        before = [tf.identity(v.value) for v in counted]
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
        if variables and not self.optimizer.built:
            self.optimizer.build(variables)
        step = _Step(self, loss, gradients, variables, moved, rates)
        place = step.take(self._loss_tracker.total.value)
        loss = tf.where(place[0] > 0, float("nan"), loss * replicas())
        self._loss_tracker.update_state(loss, sample_weight=_rows(x))
        if report is not None and report.skips:
            good = tf.math.is_finite(loss)
            _keep([v.value for v in counted], before, good)
            report.note_skipped(~good)
        elif report is not None:
            report.note_place(place)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


class _Step(Update):
    """An update whose flaws are looked for in the graph."""

    def take(self, total: Tensor) -> Tensor:
        """Update the variables where the step is good.

        Args:
            total: of the logged losses; finite as long as every step was.

        Returns:
            (2,) float32: what was not finite, as in `step_report`, and where.
        """
        going = tf.math.is_finite(total + self.loss)
        if tf.distribute.has_strategy():
            return self._take_in_replicas(going)
        cleared = self._cleared()
        if cleared is False:
            return self._take_with_care(going)
        # One node in the graph: nodes of a branch that is not taken cost time, too.
        with_care = tf.function(
            self._take_with_care,
            autograph=False,
            experimental_attributes={"_noinline": True},
        )
        return tf.cond(going & cleared, self._update, lambda: with_care(going))

    def _take_with_care(self, going: Tensor) -> Tensor:
        flaw = self._flaw()
        return tf.cond(
            going & (flaw[0] == 0),
            self._update_or_restore,
            lambda: self._restore_forward(flaw),
        )

    def _take_in_replicas(self, going: Tensor) -> Tensor:
        flaw = self._flaw()
        context = tf.distribute.get_replica_context()
        bad = tf.cast(~going | (flaw[0] > 0), "float32")
        bad = context.all_reduce(tf.distribute.ReduceOp.SUM, bad) > 0
        found = self._update_or_restore(bad)
        for variable, before in self._moved:
            variable.assign(tf.where(bad | (found[0] > 0), before, variable.value))
        # Where another replica saw it, this one knows no place.
        place = tf.where(flaw[0] > 0, flaw, tf.constant([float(GRADIENT), -1.0]))
        return tf.where(going & bad, place, tf.where(bad, flaw, found))

    def _cleared(self) -> Tensor | Literal[False]:
        """Return whether the step needs no further look; a scalar bool, or False."""
        if not self._variables:
            return tf.constant(True)
        cleared = clears(self._model.optimizer, self._variables)
        if cleared is False:
            return False
        # Half the sum of squares, in one operation an array.
        halves = [tf.nn.l2_loss(_dense(g)) for g in self._gradients]
        cleared &= tf.add_n([tf.cast(h, "float32") for h in halves]) <= SQUARES / 2
        for _, rate in self._factors:
            cleared &= tf.abs(rate) <= RATE
        return cleared & ~tf.reduce_any([False, *self._lost_in_forward()])

    def _flaw(self) -> Tensor:
        """Return what is not finite before the update, and its variable's position."""
        others = [id(one) for one in self._model.non_trainable_variables]
        places = [others.index(id(variable)) for variable, _ in self._floats()]
        lost = _first(STATE, self._lost_in_forward(), places)
        if scales_loss(self._model.optimizer):
            return lost  # It skips bad gradients itself, and lowers the scale.
        flags = [~tf.reduce_all(tf.math.is_finite(_dense(g))) for g in self._gradients]
        bad = _first(GRADIENT, flags, range(len(flags)))
        return tf.where(bad[0] > 0, bad, lost)

    def _update(self) -> Tensor:
        """Apply the gradients, and scale what moved where a weighting says so."""
        variables = self._variables
        targets = [v.value for v in variables]
        slowed = [
            (place, rate, tf.identity(targets[place])) for place, rate in self._factors
        ]
        if variables:
            pairs = zip(self._gradients, variables, strict=True)
            self._model.optimizer.apply_gradients(pairs)
        for place, rate, before in slowed:
            moved = targets[place] - before
            variables[place].assign(before + tf.cast(rate, before.dtype) * moved)
        return tf.zeros((2,))

    def _update_or_restore(self, bad: Tensor | bool = False) -> Tensor:
        """Update, look at the result, and take it back where it is not finite.

        Args:
            bad: whether to take it back in any case.

        Returns:
            (2,): what was not finite after the update, and where.
        """
        if not self._variables:
            return tf.zeros((2,))
        optimizer = self._model.optimizer
        touched = {id(v): v for v in [*self._variables, *optimizer.variables]}
        before = [tf.identity(v.value) for v in touched.values()]
        self._update()
        flags = [~_within(v.value) for v in self._variables]
        lost = [~_within(v.value) for v in slots(optimizer)]
        flags += [tf.reduce_any(lost)] if lost else []
        found = _first(UPDATE, flags, range(len(flags)))
        keep = ~(bad | (found[0] > 0))
        _keep([v.value for v in touched.values()], before, keep)
        if not tf.distribute.has_strategy():
            for variable, value in self._moved:
                variable.assign(tf.where(keep, variable.value, value))
        return found

    def _restore_forward(self, flaw: Tensor) -> Tensor:
        """Take back what layers assigned in the forward pass."""
        self.restore_forward()
        return flaw

    def _floats(self) -> list[tuple[keras.Variable, Tensor]]:
        return [pair for pair in self._moved if pair[1].dtype.is_floating]

    def _lost_in_forward(self) -> list[Tensor]:
        return [
            tf.reduce_any(
                tf.math.is_finite(before) & ~tf.math.is_finite(variable.value)
            )
            for variable, before in self._floats()
        ]


def _keep(variables: list[tf.Variable], before: list[Tensor], keep: Tensor) -> None:
    """Put values back where they are not to be kept, on every replica."""

    def put_back(variable: tf.Variable, value: Tensor, keep: Tensor) -> None:
        variable.assign(tf.where(keep, variable, value))

    def everywhere(
        strategy: tf.distribute.Strategy,
        variables: Sequence[tf.Variable],
        before: Sequence[Tensor],
        keep: Tensor,
    ) -> None:
        for variable, value in zip(variables, before, strict=True):
            strategy.extended.update(
                variable, put_back, args=(value, keep), group=False
            )

    if tf.distribute.has_strategy():
        context = tf.distribute.get_replica_context()
        context.merge_call(everywhere, args=(variables, before, keep))
        return
    for variable, value in zip(variables, before, strict=True):
        put_back(variable, value, keep)


def _dense(gradient: Tensor) -> Tensor:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _within(value: Tensor) -> Tensor:
    """Return whether all numbers are finite, and none is beyond the range."""
    return tf.reduce_all(tf.abs(value) <= min(RANGE, value.dtype.max))


def _first(kind: int, flags: list[Tensor], places: Iterable[int]) -> Tensor:
    """Return (2,): the kind and the place of the first flag that is set, or zeros."""
    if not flags:
        return tf.zeros((2,))
    stacked = tf.stack(flags)
    place = tf.gather(
        tf.constant(list(places), "float32"), tf.argmax(tf.cast(stacked, "int32"))
    )
    found = tf.stack([tf.constant(float(kind)), place])
    return tf.where(tf.reduce_any(stacked), found, tf.zeros((2,)))


def _pull(
    tape: tf.GradientTape, values: list[Tensor], targets: list[tf.Variable]
) -> Pull:
    def pull(factors: Mapping[int, Tensor], places: list[int]) -> list[Tensor]:
        chosen = [k for k in range(len(values)) if k in factors]
        found = tape.gradient(
            [values[k] for k in chosen],
            [targets[place] for place in places],
            output_gradients=[tf.cast(factors[k], values[k].dtype) for k in chosen],
            unconnected_gradients="zero",
        )
        return [tf.convert_to_tensor(gradient) for gradient in found]

    return pull


def _rows(x: Nested) -> Tensor:
    first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    return tf.shape(first)[0]
