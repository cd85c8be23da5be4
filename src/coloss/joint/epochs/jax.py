"""The compiled programs of an epoch on JAX: one loop over the model's own step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import jax
import keras
import numpy as np
from jax import numpy as jnp

from coloss.joint.base import JointBase
from coloss.joint.epochs.memory import free_host_memory
from coloss.joint.steps.trust import is_sound
from coloss.typing import Nested, Tensor

State: TypeAlias = tuple[list[Tensor], ...]
"""Lists of arrays: trainable, other, (optimizer,) and metrics variables."""

Step: TypeAlias = Callable[[State, Nested], tuple[dict[str, Tensor], State]]
"""A train or test step without side effects."""


Found: TypeAlias = tuple[Tensor, dict[str, Tensor]]
"""All numbers of the logs in one vector, and what is no number."""


def run_steps(
    step: Step,
    state: State,
    batch_at: Callable[[Tensor], Nested],
    start: Tensor | int,
    stop: Tensor | int,
) -> tuple[State, Tensor]:
    """Take the steps from `start` to `stop` in one loop on the device.

    With bounds that are arrays, one program serves blocks of any number of steps, and
    the bits of a step do not depend on the block it is in. A population of runs
    (`coloss.study`) takes the same loop.

    Args:
        step: a train or test step without side effects.
        state: before the first of them.
        batch_at: from the number of a step to its batch.
        start: the first step, an int or a scalar array.
        stop: after the last step.

    Returns:
        The state after the last step, and how many steps had a finite loss.
    """

    def body(number: Tensor, carry: tuple[State, Tensor]) -> tuple[State, Tensor]:
        before, good = carry
        logs, after = step(before, batch_at(number))
        # Keras's own step returns lists or tuples, as it happens.
        return tuple(map(list, after)), good + _is_finite(logs)

    carry = (tuple(map(list, state)), jnp.zeros((), "int32"))
    return jax.lax.fori_loop(start, stop, body, carry)


def _is_finite(logs: Mapping[str, Tensor]) -> Tensor:
    return jnp.isfinite(jnp.asarray(logs.get("loss", 0.0))).astype("int32")


def rows_at(rows: Nested, chosen: Tensor) -> Nested:
    """Return the chosen rows of every array.

    Args:
        rows: a structure of arrays (rows, ...).
        chosen: (batch,) int32, all of them rows that there are.
    """
    return jax.tree.map(
        lambda array: array.at[chosen].get(mode="promise_in_bounds"), rows
    )


def rows_from(rows: Nested, start: Tensor, size: int) -> Nested:
    """Return `size` rows of every array, from `start` on."""
    return jax.tree.map(
        lambda array: jax.lax.dynamic_slice_in_dim(array, start, size), rows
    )


class StepPrograms:
    """The programs of one kind of step: many whole batches, and the small last one.

    Args:
        model: whose metrics are logged.
        step: its `train_step`, `trusting_step` or `test_step`.
        trusts: the state that a block begins with is kept, and what comes out is looked
            at; else the state's buffers are used up.
    """

    def __init__(self, model: JointBase, step: Step, *, trusts: bool = False) -> None:
        """Compile nothing yet."""
        self._model, self._step, self._trusts = model, step, trusts
        self._names: list[str] = []
        # The metrics' buffers are not used up: their start serves every epoch.
        used = () if trusts else (0,)
        self._many = jax.jit(self._steps, donate_argnums=used, static_argnames="size")
        self._last = jax.jit(self._one_step, donate_argnums=used)

    def many(
        self,
        state: State,
        rows: Nested,
        order: Tensor | None,
        span: tuple[int, int],
        size: int,
    ) -> tuple[Found, State]:
        """Take the steps of a block; see `read` for what comes first.

        Args:
            state: before; unless kept, its buffers are used up, but for the metrics'.
            rows: a structure of arrays (rows, ...) on the device.
            order: (steps, size) int32, of the whole epoch; None: rows as they stand.
            span: the first step, and the one after the last.
            size: of a batch.
        """
        first, after = (np.int32(bound) for bound in span)
        *moved, metrics = state
        return self._many(moved, metrics, rows, order, first, after, size=size)

    def last(self, state: State, rows: Nested, chosen: Tensor) -> tuple[Found, State]:
        """Take the step on the batch that is left.

        Args:
            state: before; unless kept, its buffers are used up, but for the metrics'.
            rows: a structure of arrays (rows, ...) on the device.
            chosen: (batch,) int32.
        """
        *moved, metrics = state
        return self._last(moved, metrics, rows, chosen)

    def read(self, found: Found) -> tuple[dict[str, Tensor], int]:
        """Wait for a block, and return its logs and how many steps were finite.

        It is -1 of a block after which the state must not be used.
        """
        vector, others = found
        numbers = np.asarray(vector)
        logs: dict[str, Tensor] = dict(
            zip(self._names, map(float, numbers), strict=False)
        )
        logs |= {name: np.asarray(value) for name, value in others.items()}
        return logs, round(float(numbers[-1]))

    def _steps(
        self,
        moved: list[list[Tensor]],
        metrics: list[Tensor],
        rows: Nested,
        order: Tensor | None,
        first: Tensor,
        after: Tensor,
        *,
        size: int,
    ) -> tuple[Found, State]:
        def batch_at(number: Tensor) -> Nested:
            if order is None:
                return rows_from(rows, number * size, size)
            return rows_at(rows, order[number])

        start = (*moved, metrics)
        state, good = run_steps(self._step, start, batch_at, first, after)
        return self._logs(state, self._counted(moved, state, good)), state

    def _one_step(
        self,
        moved: list[list[Tensor]],
        metrics: list[Tensor],
        rows: Nested,
        chosen: Tensor,
    ) -> tuple[Found, State]:
        logs, state = self._step((*moved, metrics), rows_at(rows, chosen))
        state = tuple(map(list, state))
        good = self._counted(moved, state, _is_finite(logs))
        return self._logs(state, good), state

    def _counted(
        self, before: list[list[Tensor]], after: State, good: Tensor
    ) -> Tensor:
        """Return how many steps were finite; -1 where what they left is not."""
        if not self._trusts:
            return good
        return jnp.where(is_sound(self._model, before, after), good, -1)

    def _logs(self, state: State, good: Tensor) -> Found:
        """Return all numbers of the logs in one vector, and what is no number."""
        pairs = zip(self._model.metrics_variables, state[-1], strict=True)
        with keras.StatelessScope(state_mapping=list(pairs)):
            logs = dict(self._model.get_metrics_result())
        logs = {name: jnp.asarray(value) for name, value in logs.items()}
        numbers = {name: value for name, value in logs.items() if value.ndim == 0}
        self._names = list(numbers)
        vector = [*numbers.values(), good]
        others = {name: v for name, v in logs.items() if name not in numbers}
        return jnp.stack([value.astype("float32") for value in vector]), others


def on_device(tree: Nested) -> Tensor:
    """Put arrays where steps run."""
    return jax.tree.map(jax.device_put, tree)


def free_memory() -> int:
    """Return the bytes that are free on the devices together."""
    total = 0
    for device in jax.local_devices():
        stats = device.memory_stats() if device.platform != "cpu" else None
        if not stats or "bytes_limit" not in stats:
            return free_host_memory()
        total += stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return total
