"""CAGrad: near the mean, the direction that is best for the worst summand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.gramian import normalized
from coloss.aggregation.quadratic import RIDGE, all_supports, eliminated
from coloss.checking import NOT_NEGATIVE, Rules
from coloss.typing import Seed, State, Tensor

MOST = 10
"""All 2^K supports are tried."""

STATIONARY = 1e-3
"""Of the root of the sum of squared lengths: a combination so short counts as 0."""


def cagrad_weights(gramian: Tensor, c: float) -> Tensor:
    r"""Weights of conflict-averse descent (Liu et al. 2021, NeurIPS).

    With the mean gradient $g_0$, the d in $\|d - g_0\| \le c \|g_0\|$ with the largest
    $\min_k \langle g_k, d \rangle$:

    $$d = g_0 + \frac{c \|g_0\|}{\|g_s\|} g_s, \qquad g_s = \sum_k s_k g_k, \qquad
      s = \arg\min_{s \ge 0, \sum s = 1} \langle g_s, g_0 \rangle + c \|g_0\| \|g_s\|$$

    At the solution $d = g_0 + \sum_k m_k g_k$ with $m \ge 0$, and the gradients with
    $m_k > 0$ share one product with d, which a quadratic equation gives for each
    support; all supports are tried. Solved on cosines C + 1e-5 I; against float64 the
    combined gradient is off by at most 5e-3 of the longest gradient, usually by 1e-6.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.
        c: radius of the ball, at least 0; 0 is the mean.

    Returns:
        (K,). All 0 where $\|g_s\|$ is below 1e-3 of $\sqrt{\sum_k \|g_k\|^2}$: no step
        improves all summands. A gradient of 0 takes no part, and gets 1/K.
    """
    k = int(gramian.shape[0])
    cosines, lengths, inverse = normalized(gramian)
    longest = ops.maximum(ops.max(lengths), 1e-30)
    mean = lengths / (k * longest)  # In unit gradients, as all below.
    shares = inverse / ops.maximum(ops.max(inverse), 1e-30)
    matrix = cosines + RIDGE * ops.eye(k, dtype=gramian.dtype)
    radius = c * _norm(cosines, mean)
    added = inverse * _added(matrix, mean, shares, radius)
    total = ops.maximum(ops.sum(added), 1e-30)
    simplex = added / total
    short = _norm(cosines, lengths * simplex)
    stationary = short <= STATIONARY * ops.sqrt(ops.sum(lengths * lengths))
    toward = longest * radius / ops.where(stationary, 1.0, short) * simplex
    weights = ops.where(stationary, 0.0, 1.0 / k + toward)
    # In a ball of radius 0, and without gradients, there is nothing to choose.
    return ops.where(radius > 0.0, weights, 1.0 / k)


def _norm(cosines: Tensor, parts: Tensor) -> Tensor:
    return ops.sqrt(ops.maximum(ops.sum(parts * ops.matmul(cosines, parts)), 0.0))


def _added(matrix: Tensor, mean: Tensor, shares: Tensor, radius: Tensor) -> Tensor:
    """Return m >= 0 of the support that fails the conditions least."""
    k = int(matrix.shape[0])
    support = all_supports(k)[1:]  # Without the empty one.
    pulls = ops.matmul(matrix, mean)
    table = ops.concatenate([matrix, shares[:, None], pulls[:, None]], axis=1)
    found = eliminated(ops.repeat(table[None], 2**k - 1, axis=0), support)
    one = ops.cast(support, matrix.dtype)
    share, pull = found[:, :, 0], found[:, :, 1]
    # m = t share - pull on the support, where t is the common product.
    square = ops.sum(one * shares * share, axis=1)
    cross = ops.sum(one * shares * pull, axis=1)
    rest = ops.sum(one * pulls * pull, axis=1) - radius * radius
    root = cross * cross - square * rest
    possible = ops.logical_and(root >= 0.0, square > 0.0)
    safe = ops.where(possible, square, 1.0)
    common = (cross + ops.sqrt(ops.maximum(root, 0.0))) / safe
    # Off the support the same expression is how far a product is below the common.
    value = common[:, None] * share - pull
    failure = ops.max(ops.where(support, -value, value), axis=1)
    failure = ops.where(possible, failure, float("inf"))
    added = ops.where(support, ops.maximum(value, 0.0), 0.0)
    return ops.take(added, ops.argmin(failure), axis=0)


@dataclass(frozen=True)
class CAGrad(Aggregator):
    """Near the mean, best for the worst summand. See `cagrad_weights`.

    Level: parameter. At most 10 summands.

    Args:
        c: how far from the mean, in lengths of the mean; at least 0.

    Raises:
        TypeError: if `c` is not a number.
        ValueError: if it is out of range.
    """

    c: float = 0.5

    rules: ClassVar[Rules] = {"c": NOT_NEGATIVE}

    def check(self, names: Sequence[str]) -> None:
        """Refuse more summands than can be solved.

        Args:
            names: the summands.

        Raises:
            ValueError: for more than 10.
        """
        super().check(names)
        if len(names) > MOST:
            raise ValueError(
                f"CAGrad tries all subsets of the summands and takes at most {MOST} of "
                f"them; found {len(names)}. UPGrad and MGDA take any number."
            )

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        return cagrad_weights(gramian, self.c), state
