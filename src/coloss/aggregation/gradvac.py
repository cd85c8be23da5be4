"""GradVac: gradients are turned until they agree as much as they usually do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.orders import draw_orders
from coloss.checking import SHARE, Rules
from coloss.typing import Seed, State, Tensor

VANISHED = 1e-6
"""Of the squared lengths of the parts."""


def gradvac_weights(
    gramian: Tensor, orders: Tensor, usual: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    r"""Weights of Gradient Vaccine (Wang et al. 2021, ICLR).

    Each gradient $p_i$, at first $g_i$, meets the others in a random order. Where its
    cosine $\phi$ with $g_j$ is below the usual one $\hat\phi_{ij}$, it is moved until
    it is not:

    $$p_i \leftarrow p_i + \frac{\|p_i\| (\hat\phi \sqrt{1 - \phi^2} -
      \phi \sqrt{1 - \hat\phi^2})}{\|g_j\| \sqrt{1 - \hat\phi^2}} g_j$$

    then $\hat\phi_{ij} \leftarrow (1 - \beta) \hat\phi_{ij} + \beta \phi$; the result
    is $\sum_i p_i$. Exact to rounding: 1e-3 of the longest gradient in float32, as
    long as gradients are not taken apart until next to nothing is left of them, as of
    parallel ones: then no cosine is known.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.
        orders: (K, K) int, row i the order of i; where it meets itself, nothing
            happens.
        usual: (K, K) moving averages of the cosines.
        beta: how fast these follow, from 0 to 1.

    Returns:
        (K,) weights, each at least 1, and (K, K) new averages. A gradient of 0 is met
        without effect, with cosine 0.
    """
    k = int(gramian.shape[0])
    lengths = ops.sqrt(ops.diagonal(gramian))
    own = ops.arange(k, dtype="int32")

    def meet(turn: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        parts, usual = state
        met = ops.take(orders, turn, axis=1)
        place = ops.one_hot(met, k, dtype=gramian.dtype)
        product = ops.sum(parts * ops.take(gramian, met, axis=0), axis=1)
        square = ops.sum(parts * ops.matmul(parts, gramian), axis=1)
        # Nothing is left of a gradient whose square is rounding: it has no cosine.
        full = ops.square(ops.matmul(ops.abs(parts), lengths))
        length = ops.sqrt(ops.where(square > VANISHED * full, square, 0.0))
        other = ops.take(lengths, met)
        cosine = _ratio(product, length * other)
        target = ops.sum(usual * place, axis=1)
        sine, aim = (ops.sqrt(ops.maximum(1 - c * c, 0.0)) for c in (cosine, target))
        move = _ratio(length * (target * sine - cosine * aim), other * aim)
        different = ops.not_equal(met, own)
        move = ops.where(ops.logical_and(cosine < target, different), move, 0.0)
        learned = ops.where(different, beta * (cosine - target), 0.0)
        return parts + move[:, None] * place, usual + learned[:, None] * place

    # p_i = sum_k parts[i, k] g_k
    start = (ops.eye(k, dtype=gramian.dtype), usual)
    parts, usual = ops.fori_loop(0, k, meet, start)
    return ops.sum(parts, axis=0), usual


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    some = ops.greater(below, 0.0)
    return ops.where(some, above / ops.where(some, below, 1.0), 0.0)


@dataclass(frozen=True)
class GradVac(Aggregator):
    """Turns gradients toward the cosines that they usually have.

    See `gradvac_weights`. Level: parameter.

    Args:
        beta: how fast the usual cosines follow those of a step, from 0 to 1.

    Raises:
        TypeError: if `beta` is not a number.
        ValueError: if it is out of range.
    """

    beta: float = 0.5
    draws: ClassVar[bool] = True

    rules: ClassVar[Rules] = {"beta": SHARE}

    def init(self, k: int) -> dict[str, np.ndarray]:
        """Return usual cosines of 0.

        Args:
            k: number of summands.
        """
        return {"usual": np.zeros((k, k), "float32")}

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        orders = draw_orders(int(gramian.shape[0]), seed)
        weights, usual = gradvac_weights(gramian, orders, state["usual"], self.beta)
        return weights, {"usual": usual}
