"""Reading a Gramian: equal lengths, and who pulls against whom."""

from __future__ import annotations

from keras import ops

from coloss.aggregation.base import as_gramian
from coloss.typing import Tensor


def normalized(gramian: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bring all gradients to length 1, so that no scale is lost in rounding.

    Args:
        gramian: (K, K), positive semi-definite.

    Returns:
        (K, K) cosines, with 1 on the diagonal, also of a gradient of 0; (K,) lengths;
        (K,) their inverses, 0 for a gradient of 0.
    """
    lengths = ops.sqrt(ops.maximum(ops.diagonal(gramian), 0.0))
    empty = ops.equal(lengths, 0.0)
    inverse = ops.where(empty, 0.0, 1.0 / ops.where(empty, 1.0, lengths))
    # One after the other: the product of two inverses may leave float32.
    cosines = gramian * inverse[:, None] * inverse[None, :]
    eye = ops.eye(gramian.shape[0], dtype=gramian.dtype)
    return cosines * (1.0 - eye) + eye, lengths, inverse


def conflicts(gramian: Tensor) -> tuple[Tensor, Tensor]:
    r"""Which gradients pull against each other.

    $$\cos_{ij} = G_{ij} / \sqrt{G_{ii} G_{jj}}$$

    Args:
        gramian: (K, K), symmetric, positive semi-definite; NumPy or a tensor.

    Returns:
        (K, K) cosines, 0 beside a gradient of 0, on the diagonal 1 (0 for a gradient
        of 0); and the share of the K(K-1)/2 pairs whose cosine is below 0, a scalar,
        0 for one summand.
    """
    gramian = as_gramian(gramian)
    k = int(gramian.shape[0])
    cosines, _, inverse = normalized(gramian)
    present = ops.cast(ops.greater(inverse, 0.0), gramian.dtype)
    cosines = ops.clip(cosines, -1.0, 1.0) * present[:, None]
    negative = ops.cast(ops.less(cosines, 0.0), gramian.dtype)
    return cosines, ops.sum(negative) / max(1, k * (k - 1))


def scaled(gramian: Tensor) -> Tensor:
    """Bring the longest gradient to length 1; a Gramian of 0 stays as it is.

    Args:
        gramian: (K, K), positive semi-definite.
    """
    largest = ops.max(ops.diagonal(gramian))
    return gramian / ops.where(ops.greater(largest, 0.0), largest, 1.0)


def rank_cut(eigenvalues: Tensor) -> Tensor:
    """Return what an eigenvalue must exceed to count: rounding is below.

    Args:
        eigenvalues: (K,).
    """
    return 1e-6 * eigenvalues.shape[0] * ops.max(eigenvalues)
