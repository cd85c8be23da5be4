"""DualProj: the mean, turned until it hurts nobody."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.gramian import normalized
from coloss.aggregation.quadratic import RIDGE, solve_nonnegative
from coloss.typing import Seed, State, Tensor


def dualproj_weights(gramian: Tensor) -> Tensor:
    r"""Weights of the projected mean (GEM, Lopez-Paz and Ranzato 2017, NeurIPS).

    $$w = \arg\min_{v \ge 1/K} v^T G v$$

    $\sum_k w_k g_k$ is the vector nearest to the mean gradient that has no negative
    product with any gradient.

    Solved on cosines C + 1e-5 I, see `quadratic`. Against that problem in float64 the
    combined gradient is off by at most 2e-3 of the longest gradient, usually by 1e-6;
    products with the gradients may be negative by as much.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.

    Returns:
        (K,), each at least 1/K. A gradient of 0 gets 1/K.
    """
    k = int(gramian.shape[0])
    cosines, lengths, inverse = normalized(gramian)
    matrix = cosines + RIDGE * ops.eye(k, dtype=gramian.dtype)
    longest = ops.max(lengths)
    unit = ops.where(ops.greater(longest, 0.0), longest, 1.0)
    linear = ops.matmul(matrix, lengths / unit)
    added = solve_nonnegative(matrix, linear[None])[0]
    return (1.0 + inverse * unit * added) / k


@dataclass(frozen=True)
class DualProj(Aggregator):
    """Takes the mean, then projects it once. See `dualproj_weights`.

    Level: parameter.
    """

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        return dualproj_weights(gramian), state
