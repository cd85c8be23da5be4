"""Aligned-MTL: gradients made orthogonal and of equal length."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.gramian import rank_cut, scaled
from coloss.typing import Seed, State, Tensor


def alignedmtl_weights(gramian: Tensor) -> Tensor:
    r"""Weights of aligned gradients (Senushkin et al. 2023, CVPR).

    With $G = V \Lambda V^T$, over the eigenvalues above 0,

    $$w = \sqrt{\lambda_{min}} \; V \Lambda^{-1/2} V^T \, \tfrac1K 1$$

    the mean of gradients replaced by the nearest ones that are orthogonal and as long
    as the weakest principal direction.

    Eigenvalues below 1e-6 K of the largest count as 0, so gradients whose lengths
    differ by more than 1000 times lose the short ones. With no eigenvalue near that
    cut the weights are off by at most 1e-3.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.

    Returns:
        (K,); 1/K each if all gradients are 0.
    """
    k = int(gramian.shape[0])
    values, vectors = ops.linalg.eigh(scaled(gramian))
    kept = values > rank_cut(values)
    least = ops.min(ops.where(kept, values, 2.0 * k))
    stretch = ops.where(kept, ops.sqrt(least / ops.where(kept, values, 1.0)), 0.0)
    aligned = ops.matmul(vectors, stretch * ops.sum(vectors, axis=0)) / k
    return ops.where(ops.any(kept), aligned, 1.0 / k)


@dataclass(frozen=True)
class AlignedMTL(Aggregator):
    """The mean of aligned gradients. See `alignedmtl_weights`.

    Level: parameter.
    """

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        return alignedmtl_weights(gramian), state
