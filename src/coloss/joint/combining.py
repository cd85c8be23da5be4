"""From gradients of single summands to one gradient: Gramians and weighted sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras import ops

Tensor = Any
Rows = list[list[Tensor]]
"""For each of K summands, its gradient at each variable."""

Pull = Callable[[Mapping[int, Any], list[int]], list[Tensor]]
"""From factors of the summands, by position, to the gradient at some variables."""


def gramian_of(rows: Rows) -> Tensor:
    """Return the inner products of K gradients: (K, K), float32.

    Args:
        rows: for each summand, its gradient at each variable.
    """
    total = ops.zeros((len(rows), len(rows)), dtype="float32")
    for parts in zip(*rows, strict=True):
        flat = ops.stack([ops.reshape(ops.cast(p, "float32"), (-1,)) for p in parts])
        total = total + ops.matmul(flat, ops.transpose(flat))
    return total


def mixed(rows: Rows, weights: Tensor) -> list[Tensor]:
    """Return the weighted sum of K gradients, at each variable.

    Args:
        rows: for each summand, its gradient at each variable.
        weights: (K,).
    """
    found = []
    for parts in zip(*rows, strict=True):
        total = None
        for index, part in enumerate(parts):
            term = part * ops.cast(weights[index], part.dtype)
            total = term if total is None else total + term
        found.append(total)
    return found


def rows_of(
    pull: Pull, summands: Sequence[Sequence[int]], places: Sequence[list[int]]
) -> list[Rows]:
    """Return each block's gradients, one pass backwards a summand.

    Each pass goes through the blocks that its summand reaches, and no other.

    Args:
        pull: takes gradients.
        summands: those that meet in a block.
        places: positions of its variables.

    Returns:
        For each block, for each of its summands, the gradient at each variable.
    """
    found: dict[tuple[int, int], Tensor] = {}
    for summand in sorted({k for group in summands for k in group}):
        wanted = [
            position
            for group, own in zip(summands, places, strict=True)
            if summand in group
            for position in own
        ]
        parts = pull({summand: 1.0}, wanted)
        for position, part in zip(wanted, parts, strict=True):
            found[summand, position] = part
    return [
        [[found[k, position] for position in own] for k in group]
        for group, own in zip(summands, places, strict=True)
    ]
