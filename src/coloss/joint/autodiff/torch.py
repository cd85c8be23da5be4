"""Gradients of several values at once, on PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias, TypeVar

import keras
import numpy as np
import torch

from coloss.typing import Nested, Tensor

Gradients: TypeAlias = list[list[np.ndarray]]
Extra = TypeVar("Extra")
Result = TypeVar("Result")


def pull_back(
    values: list[Tensor], targets: list[Tensor]
) -> Callable[[Mapping[int, Tensor], list[int]], list[Tensor]]:
    """Return the map from factors of values, by position, to gradients at targets."""

    def pull(factors: Mapping[int, Tensor], places: list[int]) -> list[Tensor]:
        chosen = [k for k in factors if values[k].requires_grad]
        wanted = [targets[place] for place in places]
        found: Sequence[Tensor | None] = [None] * len(wanted)
        if chosen and wanted:
            found = torch.autograd.grad(
                [values[k] for k in chosen],
                wanted,
                [torch.full_like(values[k], float(factors[k])) for k in chosen],
                retain_graph=True,
                allow_unused=True,
            )
        return [
            torch.zeros_like(target) if gradient is None else gradient
            for gradient, target in zip(found, wanted, strict=True)
        ]

    return pull


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
    detached = [leaf.detach().requires_grad_(True) for leaf in leaves]
    values, extra = function(detached)
    pull = pull_back(values, detached)
    everywhere = list(range(len(detached)))
    rows = [pull({k: 1.0}, everywhere) for k in range(len(values))]
    return values, extra, [[row.detach() for row in each] for each in rows]


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
        results, found = self._function(*batch), []
        for result in results:
            if not result.requires_grad:
                found.append([np.zeros(tuple(place.shape)) for place in places])
                continue
            parts = torch.autograd.grad(
                result, places, retain_graph=True, allow_unused=True
            )
            found.append(
                [
                    np.zeros(tuple(place.shape))
                    if part is None
                    else part.detach().cpu().numpy()
                    for part, place in zip(parts, places, strict=True)
                ]
            )
        return [float(result.detach()) for result in results], found


def across_replicas_sum(number: Tensor) -> Tensor:
    """Return a scalar summed over the replicas: here there is one."""
    return number


def replicas() -> int:
    """Return the number of replicas that train in step: here there is one."""
    return 1


def undrawn() -> AbstractContextManager[None]:
    """Return a block that leaves PyTorch's random generators as they were.

    A symbolic pass through a recurrent layer is a real one on PyTorch: its dropout
    draws.
    """
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()))
