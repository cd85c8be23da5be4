"""From gradients of single summands to one gradient: Gramians and weighted sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from keras import ops

from coloss.typing import Tensor

Rows = list[list[Tensor]]
"""For each of K summands, its gradient at each variable."""

Pull = Callable[[Mapping[int, Tensor], list[int]], list[Tensor]]
"""From factors of values, by position, to the gradient at some variables."""


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


def gramian_of_combinations(table: Tensor | None, gramian: Tensor) -> Tensor:
    """Return the Gramian of combinations of gradients.

    Args:
        table: (k, r), each combination a row; None: the gradients themselves.
        gramian: (r, r), of the gradients.
    """
    if table is None:
        return gramian
    return ops.matmul(table, ops.matmul(gramian, ops.transpose(table)))


def weighted_sum(rows: Rows, weights: Tensor) -> list[Tensor]:
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
    pull: Pull, needed: Sequence[Sequence[int]], places: Sequence[list[int]]
) -> list[Rows]:
    """Return the gradients that each group needs, one pass backwards a value.

    Each pass goes through the groups that need it, and no other.

    Args:
        pull: takes gradients.
        needed: for each group, positions of values.
        places: positions of its variables.

    Returns:
        For each group, for each value, the gradient at each variable.
    """
    found: dict[tuple[int, int], Tensor] = {}
    for value in sorted({k for group in needed for k in group}):
        wanted = [
            position
            for group, own in zip(needed, places, strict=True)
            if value in group
            for position in own
        ]
        parts = pull({value: 1.0}, wanted)
        for position, part in zip(wanted, parts, strict=True):
            found[value, position] = part
    return [
        [[found[k, position] for position in own] for k in group]
        for group, own in zip(needed, places, strict=True)
    ]
