"""UPGrad: each gradient turned until it hurts nobody, then the mean."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.gramian import normalized
from coloss.aggregation.quadratic import RIDGE, solve_nonnegative
from coloss.typing import Seed, State, Tensor


def upgrad_weights(gramian: Tensor) -> Tensor:
    r"""Weights of UPGrad (Quinton and Rey 2024, arXiv:2406.16232).

    $$w = \frac1K \sum_i v_i, \qquad
      v_i = \arg\min_{v \ge e_i} v^T G v$$

    $\sum_k (v_i)_k g_k$ is the vector nearest to $g_i$ that has no negative product
    with any gradient, so neither has the result (to first order no summand gets
    worse); it grows linearly with each gradient's length.

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
    # Row i: what must be added to e_i, in units of the lengths.
    added = solve_nonnegative(matrix, matrix)
    return (1.0 + inverse * ops.matmul(lengths, added)) / k


@dataclass(frozen=True)
class UPGrad(Aggregator):
    """Projects every gradient, then takes the mean. See `upgrad_weights`.

    Level: parameter.
    """

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        return upgrad_weights(gramian), state
