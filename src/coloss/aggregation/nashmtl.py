"""Nash-MTL: the step on which bargaining summands would agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from coloss.aggregation.base import Aggregator, State, Tensor
from coloss.aggregation.gramian import normalised
from coloss.aggregation.quadratic import RIDGE
from coloss.aggregation.values import between

STEPS = 20
"""Newton steps."""


def nashmtl_weights(gramian: Tensor, max_norm: float) -> Tensor:
    r"""Weights of the bargaining solution (Navon et al. 2022, ICML).

    $$G w = \sqrt{\|G\|_F} \,/\, w \quad \text{elementwise}, \qquad w > 0$$

    then shortened so that $\|\sum_k w_k g_k\| \le$ `max_norm`, as in the authors' code.
    Each summand gets the same product of its weight and its progress; the solution does
    not depend on the gradients' lengths.

    w is the minimum of $\tfrac12 w^T G w - \sum \log w$ up to a factor, found by damped
    Newton steps, which descend from any start, on cosines C + 1e-5 I. Where gradients
    are independent the weights are off by at most 1e-3 of the largest. Where some step
    improves no summand (0 between the gradients) there is no solution: the weights are
    then large and the combined gradient is short.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.
        max_norm: longest result; 0: any length.

    Returns:
        (K,), positive; 0 for a gradient of 0.
    """
    k = int(gramian.shape[0])
    cosines, lengths, inverse = normalised(gramian)
    eye = ops.eye(k, dtype=gramian.dtype)
    agreed = _bargained(cosines + RIDGE * eye)
    longest = ops.max(lengths)
    share = lengths / ops.maximum(longest, 1e-30)
    size = longest * ops.sqrt(
        ops.sqrt(ops.sum(ops.square(cosines * share[:, None] * share[None, :])))
    )
    present = ops.where(ops.greater(inverse, 0.0), agreed, 0.0)
    square = ops.sum(present * ops.matmul(cosines, present))
    norm = size * ops.sqrt(ops.maximum(square, 0.0))
    weights = inverse * size * present
    if max_norm <= 0:
        return weights
    return weights * ops.where(norm > max_norm, max_norm / norm, 1.0)


def _bargained(matrix: Tensor) -> Tensor:
    """Solve M b = 1/b for b > 0."""
    k = int(matrix.shape[0])
    eye = ops.eye(k, dtype=matrix.dtype)

    def step(_: Any, value: Tensor) -> Tensor:
        # In units of b: the Hessian is then at least 1.
        within = value[:, None] * matrix * value[None, :]
        slope = ops.sum(within, axis=1) - 1.0
        move = ops.solve(within + eye, -slope[:, None])[:, 0]
        decrement = ops.sqrt(ops.maximum(-ops.sum(slope * move), 0.0))
        return value * (1.0 + move / (1.0 + decrement))

    # At most as long as the solution: the row sums are at most K.
    start = ops.ones_like(matrix[0]) / k**0.5
    return ops.fori_loop(0, STEPS, step, start)


@dataclass(frozen=True)
class NashMTL(Aggregator):
    """The bargaining solution. See `nashmtl_weights`.

    Level: parameter.

    Args:
        max_norm: longest combined gradient, at least 0; 0: any.

    Raises:
        TypeError: if `max_norm` is not a number.
        ValueError: if it is out of range.
    """

    max_norm: float = 1.0

    def __post_init__(self) -> None:
        """Check the value."""
        object.__setattr__(self, "max_norm", between(self, "max_norm", 0.0))

    def _step(self, state: State, gramian: Tensor, seed: Any) -> tuple[Tensor, State]:
        return nashmtl_weights(gramian, self.max_norm), state
