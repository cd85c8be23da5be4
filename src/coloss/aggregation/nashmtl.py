"""Nash-MTL: the step on which bargaining summands would agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.gramian import normalized
from coloss.aggregation.quadratic import RIDGE
from coloss.checking import NOT_NEGATIVE, Rules
from coloss.typing import Seed, State, Tensor

STEPS = 30
"""Newton steps."""


def nashmtl_weights(gramian: Tensor, max_norm: float) -> Tensor:
    r"""Weights of the bargaining solution (Navon et al. 2022, ICML).

    $$G w = 1 / w \quad \text{elementwise}, \qquad w > 0$$

    Each summand gets the same product of weight and progress, so the combined gradient
    does not depend on the gradients' lengths; its own length is $\sqrt K$, shortened
    to `max_norm`, as in the authors' code.

    w is the minimum of $\tfrac12 w^T G w - \sum_k \log w_k$, found by damped Newton
    steps, which descend from any start, on cosines C + 1e-5 I. Against that problem in
    float64 the combined gradient is off by at most 5e-3 of $\sqrt K$. Where no step
    improves all summands (0 lies between the gradients) the equation has no solution:
    the weights are then large and the combined gradient is short.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.
        max_norm: longest result; 0: any length.

    Returns:
        (K,), positive; 0 for a gradient of 0.
    """
    k = int(gramian.shape[0])
    cosines, _, inverse = normalized(gramian)
    eye = ops.eye(k, dtype=gramian.dtype)
    agreed = _bargained(cosines + RIDGE * eye)
    weights = inverse * agreed
    if max_norm <= 0:
        return weights
    parts = ops.where(ops.greater(inverse, 0.0), agreed, 0.0)
    norm = ops.sqrt(ops.maximum(ops.sum(parts * ops.matmul(cosines, parts)), 0.0))
    longer = norm > max_norm
    return weights * ops.where(longer, max_norm / ops.where(longer, norm, 1.0), 1.0)


def _bargained(matrix: Tensor) -> Tensor:
    """Solve M b = 1/b for b > 0."""
    k = int(matrix.shape[0])
    eye = ops.eye(k, dtype=matrix.dtype)

    def step(_: Tensor, value: Tensor) -> Tensor:
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

    rules: ClassVar[Rules] = {"max_norm": NOT_NEGATIVE}

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        return nashmtl_weights(gramian, self.max_norm), state
