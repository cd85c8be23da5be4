"""PCGrad: what pulls against another gradient is taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.orders import draw_orders
from coloss.typing import Seed, State, Tensor


def pcgrad_weights(gramian: Tensor, orders: Tensor) -> Tensor:
    r"""Weights of projected conflicting gradients (Yu et al. 2020, NeurIPS).

    Each gradient $p_i$, at first $g_i$, meets the others in a random order, and loses
    what points against them:

    $$p_i \leftarrow p_i - \frac{\min(0, \langle p_i, g_j \rangle)}{\|g_j\|^2} g_j$$

    and the result is $\sum_i p_i$. With two summands it conflicts with none; with
    more it may. Exact to rounding: 1e-4 of the longest gradient in float32.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.
        orders: (K, K) int, row i the order of i; where it meets itself, nothing
            happens.

    Returns:
        (K,), each at least 1. A gradient of 0 is met without effect.
    """
    k = int(gramian.shape[0])
    squares = ops.diagonal(gramian)
    safe = ops.where(ops.greater(squares, 0.0), squares, 1.0)
    own = ops.arange(k, dtype="int32")

    def meet(turn: Tensor, parts: Tensor) -> Tensor:
        met = ops.take(orders, turn, axis=1)
        product = ops.sum(parts * ops.take(gramian, met, axis=0), axis=1)
        against = ops.logical_and(product < 0.0, ops.not_equal(met, own))
        taken = ops.where(against, product / ops.take(safe, met), 0.0)
        return parts - taken[:, None] * ops.one_hot(met, k, dtype=gramian.dtype)

    # p_i = sum_k parts[i, k] g_k
    parts = ops.fori_loop(0, k, meet, ops.eye(k, dtype=gramian.dtype))
    return ops.sum(parts, axis=0)


@dataclass(frozen=True)
class PCGrad(Aggregator):
    """Takes conflicting parts out, in random order. See `pcgrad_weights`.

    Level: parameter.
    """

    draws: ClassVar[bool] = True

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        orders = draw_orders(int(gramian.shape[0]), seed)
        return pcgrad_weights(gramian, orders), state
