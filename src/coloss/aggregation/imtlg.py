"""IMTL-G: a direction with equal shares of all gradients."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.gramian import normalized, rank_cut, scaled
from coloss.typing import Seed, State, Tensor


def imtlg_weights(gramian: Tensor) -> Tensor:
    r"""Weights of impartial learning (Liu et al. 2021, ICLR).

    The combined gradient has the same component along every unit gradient:

    $$w = v / \sum_k v_k, \qquad v = G^+ d, \qquad d_k = \|g_k\|$$

    with the pseudo-inverse of Quinton and Rey (2024) where gradients depend on each
    other and no such direction need exist. Weights may be negative, and are large where
    the sum of v is near 0: then, and where eigenvalues of G are near the cut below,
    errors are large too. Else the combined gradient is off by 1e-3 of the sum of the
    weighted lengths at most.

    Independent gradients are solved on cosines, so that very different lengths are no
    matter. Eigenvalues below 1e-6 K of the largest count as 0.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.

    Returns:
        (K,), of sum 1; all 0 where the sum of v is 0.
    """
    cosines, _, inverse = normalized(gramian)
    values, vectors = ops.linalg.eigh(cosines)
    solved = ops.matmul(
        ops.sum(vectors, axis=0) / ops.abs(values), ops.transpose(vectors)
    )
    # v times a constant is as good: lengths in units of the shortest, or the longest.
    independent = solved * inverse / ops.maximum(ops.max(inverse), 1e-30)
    dependent = _pseudo_inverted(gramian)
    full = ops.min(values) > rank_cut(values)
    v = ops.where(full, independent, dependent)
    total = ops.sum(v)
    none = ops.abs(total) <= 1e-6 * ops.sum(ops.abs(v))
    return ops.where(none, 0.0, v / ops.where(none, 1.0, total))


def _pseudo_inverted(gramian: Tensor) -> Tensor:
    """Return the pseudo-inverse times the lengths, up to a constant."""
    unit = scaled(gramian)
    lengths = ops.sqrt(ops.maximum(ops.diagonal(unit), 0.0))
    values, vectors = ops.linalg.eigh(unit)
    kept = values > rank_cut(values)
    inverse = ops.where(kept, 1.0 / ops.where(kept, values, 1.0), 0.0)
    return ops.matmul(vectors, inverse * ops.matmul(lengths, vectors))


@dataclass(frozen=True)
class IMTLG(Aggregator):
    """Equal shares of all gradients. See `imtlg_weights`.

    Level: parameter.
    """

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        return imtlg_weights(gramian), state
