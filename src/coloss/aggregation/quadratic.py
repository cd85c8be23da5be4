r"""Small quadratic programmes over the non-negative numbers, solved on the device.

$$\min_{z \ge 0} \; \tfrac12 z^T M z + q^T z$$

with M symmetric, positive definite and with a diagonal near 1. At the solution some z
are free and solve a linear system, the others are 0: the support decides. Up to
`ENUMERATED` unknowns all supports are tried, which is exact; beyond, supports are
improved step by step (Judice and Pires 1994, Computers & Operations Research 21,
block principal pivoting), at most `3 K + 20` times.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from coloss.typing import Tensor

ENUMERATED = 8
"""Up to here there is no loop, whose end PyTorch would ask the host for."""

RIDGE = 1e-5
"""Added to the diagonal of cosines. Far above the rounding of float32, so that
dependent gradients give one answer; it bends a direction by about as much, or by up to
its root where gradients are almost opposite."""

SATISFIED = 1e-6
"""A support whose conditions fail by no more is the right one."""


def solve_nonnegative(matrix: Tensor, linear: Tensor) -> Tensor:
    """Solve several programmes with one matrix.

    Args:
        matrix: (K, K) M, symmetric, positive definite, diagonal near 1.
        linear: (R, K), one q a row.

    Returns:
        (R, K), the z of each row, exactly 0 off the support.
    """
    if matrix.shape[0] <= ENUMERATED:
        return _enumerated(matrix, linear)
    return _pivoted(matrix, linear)


def all_supports(k: int) -> Tensor:
    """Return all subsets of K unknowns: (2^K, K) bool, the empty one first."""
    return ops.convert_to_tensor((np.arange(2**k)[:, None] >> np.arange(k)) % 2 == 1)


def eliminated(table: Tensor, support: Tensor) -> Tensor:
    """Solve for the unknowns of a support by Gauss-Jordan elimination.

    Without a search for pivots, which positive definite matrices do not need.

    Args:
        table: (S, K, K + R), a matrix beside R columns.
        support: (S, K) bool.

    Returns:
        (S, K, R): of each column b, the solution of M_FF x = b_F in the rows of the
        support F, and b - M x in the others.
    """
    k = int(table.shape[1])
    eye = np.eye(k)
    for i in range(k):
        row = table[:, i : i + 1] / table[:, i : i + 1, i : i + 1]
        unit = ops.convert_to_tensor(eye[:, i : i + 1], table.dtype)
        swept = table - (table[:, :, i : i + 1] - unit) * row
        table = ops.where(support[:, i][:, None, None], swept, table)
    return table[:, :, k:]


def _enumerated(matrix: Tensor, linear: Tensor) -> Tensor:
    k = int(matrix.shape[0])
    support = all_supports(k)
    table = ops.concatenate([matrix, ops.transpose(linear)], axis=1)
    table = ops.repeat(table[None], 2**k, axis=0)
    found = eliminated(table, support)
    inside = support[:, :, None]
    # On the support z = -found must not be negative; off it the slope must not be.
    failure = ops.max(ops.where(inside, found, -found), axis=1)
    best = ops.argmin(failure, axis=0)
    solutions = ops.where(inside, ops.maximum(-found, 0.0), 0.0)
    chosen = ops.take_along_axis(
        ops.transpose(solutions, (2, 0, 1)), best[:, None, None], axis=1
    )
    return chosen[:, 0]


def _pivoted(matrix: Tensor, linear: Tensor) -> Tensor:
    count, k = (int(size) for size in linear.shape)
    table = ops.concatenate(
        [ops.repeat(matrix[None], count, axis=0), linear[:, :, None]], axis=2
    )
    start = (
        ops.zeros((count, k), dtype="bool"),
        ops.zeros_like(linear),  # The best solution so far,
        ops.full((count,), np.inf, dtype=linear.dtype),  # and how it fails.
        ops.full((count,), k + 1, dtype="int32"),  # Fewest failing conditions.
        ops.full((count,), 3, dtype="int32"),  # Tries left without fewer.
    )

    def going_on(*state: Tensor) -> Tensor:
        return ops.any(state[2] > SATISFIED)

    def step(*state: Tensor) -> tuple[Tensor, ...]:
        return _exchange(table, *state)

    state = ops.while_loop(going_on, step, start, maximum_iterations=3 * k + 20)
    return state[1]


def _exchange(
    table: Tensor,
    support: Tensor,
    best: Tensor,
    least: Tensor,
    fewest: Tensor,
    tries: Tensor,
) -> tuple[Tensor, ...]:
    """Judge the supports, and exchange the unknowns whose condition fails."""
    found = eliminated(table, support)[:, :, 0]
    conditions = ops.where(support, found, -found)
    failure = ops.max(conditions, axis=1)
    better = failure < least
    solution = ops.where(support, ops.maximum(-found, 0.0), 0.0)
    best = ops.where(better[:, None], solution, best)
    least = ops.where(better, failure, least)

    fails = conditions > SATISFIED
    number = ops.sum(ops.cast(fails, "int32"), axis=1)
    progress = number < fewest
    many = ops.logical_or(progress, tries > 0)
    tries = ops.where(progress, 3, ops.maximum(tries - 1, 0))
    # Else only the last one: slow, but it cannot run in circles.
    position = ops.arange(fails.shape[1])
    last = ops.max(ops.where(fails, position, -1), axis=1)
    one = ops.equal(position[None, :], last[:, None])
    chosen = ops.logical_and(fails, ops.logical_or(many[:, None], one))
    support = ops.logical_xor(support, chosen)
    return support, best, least, ops.minimum(fewest, number), tries
