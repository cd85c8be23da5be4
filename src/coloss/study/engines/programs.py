"""The compiled programs of a population: one epoch, one validation, one evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import jax
import keras
import numpy as np
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

from coloss.joint import JointModel
from coloss.joint.epochs.jax import rows_from, run_steps
from coloss.joint.inputs.missing_rows import Complete
from coloss.study.orders import order
from coloss.study.settings import Training
from coloss.study.trial import Trial
from coloss.typing import Nested, Tensor

State: TypeAlias = tuple[list[Tensor], ...]
"""Trainable, other and optimizer variables; each array with an axis of runs before."""

Logs: TypeAlias = dict[str, Tensor]
"""Metrics by name, (runs,) each."""

Pair: TypeAlias = tuple[Nested, Nested]
"""Inputs and labels of every seed, with an axis of seeds before."""

FORMS = ("vmap", "map")
LARGE = 500_000
"""Trained numbers of a run from which a CPU is better off with one run at a time."""
WORTH = 3.0
"""The other form is tried where what is left takes so many times its compilation."""


class Programs:
    """What is compiled once and serves every chunk of an arm.

    Args:
        trial: the arm.
        training: how its runs are trained.
        form: "vmap", "map" or "auto".
        chunks: populations that will be trained.

    Raises:
        ValueError: for another form.
    """

    def __init__(
        self, trial: Trial, training: Training, form: str, chunks: int
    ) -> None:
        """Compile nothing yet."""
        if form not in (*FORMS, "auto"):
            raise ValueError(f'`form` must be "vmap", "map" or "auto"; found {form!r}.')
        self._trial, self._training = trial, training
        self._joint: JointModel = trial.joint
        # An earlier `fit` leaves its sums in them.
        self._joint.reset_metrics()
        self._metrics = [jnp.array(v.value) for v in self._joint.metrics_variables]
        self._mesh = Mesh(np.array(jax.local_devices()), ("runs",))
        first = first_form(trial, jax.local_devices()[0].platform)
        self._choice = Choice(form, training.epochs * chunks, first)
        self._compiled: dict[
            tuple[object, str, str], tuple[Callable[..., Any], float]
        ] = {}
        self._complete = Complete()

    # --- where arrays lie --------------------------------------------------------

    def spread(self, tree: Nested) -> Tensor:
        """Put arrays (runs, ...) on the devices, each with its share of the runs."""
        return jax.device_put(tree, NamedSharding(self._mesh, Spec("runs")))

    def copied(self, tree: Nested) -> Tensor:
        """Put arrays on every device."""
        return jax.device_put(tree, NamedSharding(self._mesh, Spec()))

    def expect(self, complete: Complete) -> None:
        """Say what is complete in the training rows; train steps rely on it."""
        if complete != self._complete:
            self._complete = complete
            self._compiled.clear()

    # --- what is run -------------------------------------------------------------

    def at_epoch(self, state: State, epoch: int) -> tuple[State, dict[str, float]]:
        """Move scheduled coefficients and windows to an epoch.

        Returns:
            The state, and the scheduled coefficients by name.
        """
        joint = self._joint
        values = joint.coefficient_layer.move(epoch)
        joint.auxiliary.schedule.move(epoch)
        moved = [joint.coefficients[name] for name in values]
        moved += joint.auxiliary.schedule.variables
        if not moved:
            return state, values
        other = list(state[1])
        place = {id(v): i for i, v in enumerate(self._trial.groups[1])}
        for variable in moved:
            index = place[id(variable)]
            value = np.broadcast_to(variable.value, other[index].shape)
            other[index] = self.spread(np.array(value))
        return (state[0], other, state[2]), values

    def orders(self, seeds: Sequence[int], epoch: int, rows: int) -> Tensor:
        """Return the order of rows of every run in an epoch, (runs, rows)."""
        by_seed = {seed: order(seed, epoch, rows) for seed in dict.fromkeys(seeds)}
        return self.spread(np.stack([by_seed[seed] for seed in seeds]))

    def train_epoch(
        self, state: State, place: Tensor, orders: Tensor, rows: Pair
    ) -> tuple[State, Logs]:
        """Return the state after an epoch, and its logs by name, (runs,) each."""
        arguments = (state, place, orders, rows)
        form = self._choice.form
        program, seconds = self._get("train", form, self._one_epoch, arguments, (0,))
        begun = time.perf_counter()
        result = jax.block_until_ready(program(*arguments))
        self._choice.measured(form, time.perf_counter() - begun, seconds)
        return result

    def validate(self, state: State, place: Tensor, rows: Pair) -> tuple[State, Logs]:
        """Return the state after a validation, and its logs."""
        other, logs = self._evaluation(state, place, rows)
        return (state[0], other, state[2]), logs

    def evaluate(self, state: State, place: Tensor, rows: Pair) -> Logs:
        """Return the metrics on some rows, by name, (runs,) each."""
        return self._evaluation(state, place, rows)[1]

    def _evaluation(
        self, state: State, place: Tensor, rows: Pair
    ) -> tuple[list[Tensor], Logs]:
        count = len(jax.tree.leaves(rows[1])[0][0])
        arguments = (state[:2], place, rows)
        name = ("evaluate", count)
        program, _ = self._get(name, "vmap", self._one_evaluation, arguments, ())
        return program(*arguments)

    @staticmethod
    @jax.jit
    def select(mask: Tensor, first: Nested, second: Nested) -> Tensor:
        """Return `first` where a run's mask is set, `second` elsewhere."""

        def choose(one: Tensor, other: Tensor) -> Tensor:
            shape = (-1,) + (1,) * (one.ndim - 1)
            return jnp.where(mask.reshape(shape), one, other)

        return jax.tree.map(choose, first, second)

    def _get(
        self,
        name: object,
        form: str,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        donated: tuple[int, ...],
    ) -> tuple[Callable[..., Any], float]:
        """Return a program for these shapes, and the seconds its compilation took."""
        shapes = str(jax.tree.map(jnp.shape, arguments))
        key = (name, form, shapes)
        if key not in self._compiled:
            begun = time.perf_counter()
            over = partial(_FORMS[form], function)
            spread = [Spec("runs")] * (len(arguments) - 1)
            sharded = jax.shard_map(
                over,
                mesh=self._mesh,
                in_specs=(*spread, Spec()),
                out_specs=Spec("runs"),
                check_vma=False,
            )
            jitted = jax.jit(sharded, donate_argnums=donated)
            program = jitted.lower(*arguments).compile()
            self._compiled[key] = (program, time.perf_counter() - begun)
        return self._compiled[key]

    # --- one run -----------------------------------------------------------------

    def _one_epoch(
        self, state: State, place: Tensor, order: Tensor, rows: Pair
    ) -> tuple[State, Logs]:
        """Train one run for an epoch; `rows` are those of every seed."""
        size = self._training.batch_size
        whole = len(order) // size

        def batch_of(chosen: Tensor) -> Tensor:
            return jax.tree.map(lambda array: array[place, chosen], rows)

        def step(state: State, batch: Nested) -> Any:
            with self._joint.expecting(self._complete):
                return self._joint.train_step(state, batch)

        reliability = self._joint.auxiliary.running_accuracy
        other = self._assigned(state[1], reliability.start_epoch)
        carry: State = (list(state[0]), other, list(state[2]), list(self._metrics))
        if whole:
            steps = order[: whole * size].reshape(whole, size)
            carry, _ = run_steps(step, carry, lambda i: batch_of(steps[i]), 0, whole)
        if len(order) % size:
            _, carry = step(carry, batch_of(order[whole * size :]))
        return tuple(map(list, carry[:3])), self._logs(carry[3])

    def _one_evaluation(
        self, state: State, place: Tensor, rows: Pair
    ) -> tuple[list[Tensor], Logs]:
        size = self._training.evaluation_batch
        count = len(jax.tree.leaves(rows[1])[0][0])

        own = jax.tree.map(lambda array: array[place], rows)
        step = self._joint.test_step
        carry: State = (list(state[0]), list(state[1]), list(self._metrics))
        whole = count // size
        if whole:
            carry, _ = run_steps(
                step, carry, lambda i: rows_from(own, i * size, size), 0, whole
            )
        if count % size:
            _, carry = step(carry, rows_from(own, whole * size, count % size))
        other = self._assigned(
            carry[1], self._joint.auxiliary.running_accuracy.end_epoch
        )
        return other, self._logs(carry[2])

    def _assigned(
        self, other: list[Tensor], action: Callable[[], None]
    ) -> list[Tensor]:
        """Return the other variables after an action on the model's variables."""
        variables = self._trial.groups[1]
        with keras.StatelessScope(zip(variables, other, strict=True)) as scope:
            action()
        values = [scope.get_current_value(variable) for variable in variables]
        return [
            old if new is None else new for new, old in zip(values, other, strict=True)
        ]

    def _logs(self, metrics: list[Tensor]) -> Logs:
        pairs = zip(self._joint.metrics_variables, metrics, strict=True)
        with keras.StatelessScope(pairs):
            return dict(self._joint.get_metrics_result())


def _vmap(function: Callable[..., Any], *arguments: Nested) -> Nested:
    axes = (*[0] * (len(arguments) - 1), None)
    return jax.vmap(function, in_axes=axes)(*arguments)


def _map(function: Callable[..., Any], *arguments: Nested) -> Nested:
    *varying, rows = arguments
    return jax.lax.map(lambda one: function(*one, rows), tuple(varying))


_FORMS = {"vmap": _vmap, "map": _map}


def first_form(trial: Trial, platform: str) -> str:
    """Return the form that is likely the faster one, and is tried first.

    Side by side, small networks share the overhead of each operation. Networks whose
    matrices fill a processor by themselves gain nothing there, and push each other's
    weights out of its caches; a GPU has room for both.

    Args:
        trial: the arm.
        platform: of the devices, such as "cpu".
    """
    numbers = sum(math.prod(v.shape) for v in trial.groups[0])
    return "map" if platform == "cpu" and numbers > LARGE else "vmap"


class Choice:
    """Which form an arm's epochs run in: both are tried where that can pay.

    Each form does the same work, so that trying one costs its compilation only.

    Args:
        form: "vmap", "map", or "auto".
        epochs: to come, over all chunks.
        first: the form to begin with where the choice is "auto".
    """

    def __init__(self, form: str, epochs: int, first: str = "vmap") -> None:
        """Begin with `first` unless told otherwise."""
        self._fixed = form != "auto"
        self.form = form if self._fixed else first
        self._left = epochs
        self._seconds: dict[str, float] = {}

    def measured(self, form: str, seconds: float, compiled: float) -> None:
        """Take in an epoch's time, and decide on the next epoch's form.

        Args:
            form: that was run.
            seconds: it took.
            compiled: seconds that its compilation took.
        """
        self._left -= 1
        if self._fixed:
            return
        self._seconds[form] = min(seconds, self._seconds.get(form, seconds))
        if len(self._seconds) < len(FORMS):
            if self._left * seconds > WORTH * compiled:
                self.form = next(other for other in FORMS if other != form)
        else:
            self.form = min(self._seconds, key=self._seconds.__getitem__)
            self._fixed = True
