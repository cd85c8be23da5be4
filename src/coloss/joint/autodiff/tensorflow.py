"""Gradients of several values at once, on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias, TypeVar

import keras
import numpy as np
import tensorflow as tf

from coloss.typing import Nested, Tensor

Gradients: TypeAlias = list[list[np.ndarray]]
Extra = TypeVar("Extra")
Result = TypeVar("Result")


def head_rows(
    function: Callable[[list[Tensor]], tuple[list[Tensor], Extra]], leaves: list[Tensor]
) -> tuple[list[Tensor], Extra, list[list[Tensor]]]:
    """Return several values, and the gradient of each at their arguments.

    Args:
        function: from a list of tensors to a list of scalars, and something else.
        leaves: where to take it; their own history is left out.

    Returns:
        The scalars, what else the function returned, and a row of gradients each.
    """
    detached = [tf.stop_gradient(leaf) for leaf in leaves]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(detached)
        values, extra = function(detached)
    rows = [
        [
            tf.stop_gradient(row)
            for row in tape.gradient(value, detached, unconnected_gradients="zero")
        ]
        for value in values
    ]
    return values, extra, rows


def run_once(function: Callable[..., Result], *arguments: Nested) -> Result:
    """Return what a function gives; see the module for JAX.

    Args:
        function: of tensors, returning a structure of tensors.
        *arguments: structures of tensors.
    """
    return function(*arguments)


class ValuesAndGradients:
    """Values of several scalars and their gradients.

    Args:
        function: from a batch to scalars; reads variables.
        variables: where gradients are taken.
        others: the other variables; not needed on this backend.
    """

    def __init__(
        self,
        function: Callable[..., list[Tensor]],
        variables: Sequence[keras.Variable],
        others: Sequence[keras.Variable],
    ) -> None:
        """Store the parts."""
        del others  # Read where they are.
        self._function, self._variables = function, list(variables)

    def __call__(self, batch: Sequence[Nested]) -> tuple[list[float], Gradients]:
        """Return each value on a batch, and its gradient at each variable."""
        places = [variable.value for variable in self._variables]
        with tf.GradientTape(persistent=True) as tape:
            results = self._function(*batch)
        found = []
        for result in results:
            parts = tape.gradient(result, places, unconnected_gradients="zero")
            found.append([tf.convert_to_tensor(part).numpy() for part in parts])
        return [float(result) for result in results], found


def across_replicas_sum(number: Tensor) -> Tensor:
    """Return a scalar summed over the replicas; its gradient is summed as well."""
    if replicas() == 1:
        return number
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, number)


def replicas() -> int:
    """Return the number of replicas that train in step: 1 outside of their code."""
    if tf.distribute.in_cross_replica_context():
        return 1  # Under a strategy's scope, where one sees the whole batch.
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def undrawn() -> AbstractContextManager[None]:
    """Return a block of a symbolic pass, which draws no random numbers here."""
    return nullcontext()
