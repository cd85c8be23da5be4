"""Gradients of several values at once, on JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias, TypeVar

import jax
import keras
import numpy as np

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
    detached = [jax.lax.stop_gradient(leaf) for leaf in leaves]
    values, pull_back, extra = jax.vjp(function, detached, has_aux=True)
    rows = []
    for chosen in range(len(values)):
        unit = [
            jax.numpy.asarray(float(k == chosen), value.dtype)
            for k, value in enumerate(values)
        ]
        rows.append([jax.lax.stop_gradient(row) for row in pull_back(unit)[0]])
    return values, extra, rows


_QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""Of a program that runs a few times: making it takes longer than running it."""


def run_once(function: Callable[..., Result], *arguments: Nested) -> Result:
    """Return what a function gives; as one program, for each operation alone is one.

    Args:
        function: of arrays, returning a structure of arrays; what it assigns to
            variables is dropped.
        *arguments: structures of arrays.
    """

    def stateless(*arguments: Nested) -> Result:
        with keras.StatelessScope():
            return function(*arguments)

    program = jax.jit(stateless, compiler_options=_quick())
    result: Result = program(*arguments)
    return result


def _quick() -> dict[str, bool | int] | None:
    return _QUICK if jax.default_backend() == "cpu" else None


class ValuesAndGradients:
    """Values of several scalars and their gradients, as one compiled program.

    Args:
        function: from a batch to scalars; reads variables.
        variables: where gradients are taken.
        others: the other variables that it may read, handed to the program at each
            call, so that it sees their present values.
    """

    def __init__(
        self,
        function: Callable[..., list[Tensor]],
        variables: Sequence[keras.Variable],
        others: Sequence[keras.Variable],
    ) -> None:
        """Compile nothing yet."""
        self._function, self._variables = function, list(variables)
        self._others = list(others)
        self._program = jax.jit(self._measure, compiler_options=_quick())

    def __call__(self, batch: Sequence[Nested]) -> tuple[list[float], Gradients]:
        """Return each value on a batch, and its gradient at each variable."""
        arrays = [variable.value for variable in self._variables]
        others = [variable.value for variable in self._others]
        values, gradients = self._program(arrays, others, list(batch))
        return [float(v) for v in values], [
            [np.asarray(part) for part in row] for row in gradients
        ]

    def _measure(
        self, arrays: list[Tensor], others: list[Tensor], batch: list[Nested]
    ) -> tuple[Tensor, list[list[Tensor]]]:
        rest = list(zip(self._others, others, strict=True))

        def function(arrays: list[Tensor]) -> Tensor:
            mapping = [*zip(self._variables, arrays, strict=True), *rest]
            with keras.StatelessScope(state_mapping=mapping):
                return jax.numpy.stack(self._function(*batch))

        values, pull_back = jax.vjp(function, arrays)
        return values, [pull_back(row)[0] for row in np.eye(len(values), dtype="f")]


def across_replicas_sum(number: Tensor) -> Tensor:
    """Return a scalar summed over the replicas: JAX sees the whole batch."""
    return number


def replicas() -> int:
    """Return the number of replicas that train in step: JAX sees one program."""
    return 1


def undrawn() -> AbstractContextManager[None]:
    """Return a block of a symbolic pass, which draws no random numbers here."""
    return nullcontext()
