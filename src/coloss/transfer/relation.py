"""Terms on how the rows of a batch relate: any widths, no projector."""

from __future__ import annotations

from keras import ops

from coloss.transfer.masks import (
    TINY,
    centered,
    count,
    flat,
    floor_of,
    keep,
    need,
    peak_scaled,
    prepare,
    unit,
)
from coloss.typing import Tensor

# The batch size taken for the choice between the two forms of CKA where the real one
# is not known while a program is traced.
USUAL_BATCH = 64


def cka(learner: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Linear centered kernel alignment, as a distance.

    $$1 - \frac{\lVert X_s^\top X_t \rVert_F^2}
      {\lVert X_s^\top X_s \rVert_F \, \lVert X_t^\top X_t \rVert_F}$$

    with the columns of $X$ centered over the rows that count. Kornblith et al., ICML
    2019, "Similarity of Neural Network Representations Revisited" (the biased
    estimator). Does not change under rotation, isotropic scaling and shift of either
    side. Weight 1 is one unit of CKA.

    Args:
        learner: (B, ...) a layer's output, flattened to (B, D).
        source: (B, ...), of any other width. Not detached here.
        mask: (B,) bool, rows that count; None: all.

    Returns:
        A scalar from 0 (same up to rotation, scale, shift) to 1 (unrelated), up to
        rounding. 1, without a gradient, where one side is constant over the rows; 0
        where fewer than 2 rows count.

    Raises:
        ValueError: for unequal numbers of rows.
    """
    mask, learner, source = pair("cka", mask, learner, source)
    own, other = (spread(x, mask) for x in (learner, source))
    if _prefers_gram(own.shape[0], own.shape[1], other.shape[1]):
        own, other = (ops.matmul(x, ops.transpose(x)) for x in (own, other))
        cross = ops.sum(own * other)
    else:
        cross = ops.sum(ops.square(_inner(own, other)))
        own, other = _inner(own, own), _inner(other, other)
    norms = [ops.sqrt(ops.maximum(ops.sum(ops.square(x)), TINY)) for x in (own, other)]
    distance = 1.0 - cross / (norms[0] * norms[1])
    if mask is None:
        return distance
    return ops.where(ops.any(mask), distance, ops.zeros_like(distance))


def sp(learner: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Similarity-preserving distillation: rows alike for the source, alike here.

    $$\lVert G_s - G_t \rVert_F^2 / B, \qquad G = F F^\top
      \text{ with each row divided by its } L_2 \text{ norm}$$

    Tung and Mori, ICCV 2019, "Similarity-Preserving Knowledge Distillation". They
    divide by $B^2$; here by B, so that the size does not shrink as batches grow:
    their weight gamma is gamma / B here (3000 at B = 128 is 23). Does not change under
    rotation and isotropic scaling of either side.

    Args:
        learner: (B, ...) a layer's output, flattened to (B, D).
        source: (B, ...), of any other width. Not detached here.
        mask: (B,) bool, rows that count (B is their number); None: all.

    Returns:
        A scalar from 0 to 4; 0 where fewer than 2 rows count. A row of zeros is
        similar to none and gets no gradient from its own row of G.

    Raises:
        ValueError: for unequal numbers of rows.
    """
    mask, learner, source = pair("sp", mask, learner, source)
    own, other = (peak_scaled(x) for x in (learner, source))
    own, other = (unit(ops.matmul(x, ops.transpose(x))) for x in (own, other))
    return ops.sum(ops.square(own - other)) / count(mask, own)


def pkt(learner: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Probabilistic knowledge transfer: rows keep the source's neighbors.

    $$\mathrm{mean}_{ij} \; q^t_{ij} \log (q^t_{ij} / q^s_{ij}), \qquad
      q_{ij} = k_{ij} / \textstyle\sum_l k_{il}, \quad k_{ij} = (\cos_{ij} + 1) / 2$$

    Passalis and Tefas, ECCV 2018, "Learning Deep Representations with Probabilistic
    Knowledge Transfer". The mean is over all pairs of rows, as in their code, so that
    weight 1 is theirs; times B it is a divergence a row. As there, a row is a
    neighbor of itself, and 1e-7 is added to both probabilities inside the logarithm.
    Does not change when a row is scaled, nor under rotation of either side.

    Args:
        learner: (B, ...) a layer's output, flattened to (B, D).
        source: (B, ...), of any other width. Not detached here.
        mask: (B,) bool, rows that count; None: all.

    Returns:
        A scalar, 0 or more; 0 where fewer than 2 rows count. A row of zeros has
        cosine 0 with every other.

    Raises:
        ValueError: for unequal numbers of rows.
    """
    mask, learner, source = pair("pkt", mask, learner, source)
    own, other = (_neighbors(x, mask) for x in (learner, source))
    terms = other * (ops.log(other + 1e-7) - ops.log(own + 1e-7))
    return ops.sum(keep(terms, mask)) / ops.square(count(mask, own))


def _neighbors(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return each row's shares (B, B) of similarity to the rows that count."""
    directions = unit(values)
    cosines = ops.matmul(directions, ops.transpose(directions))
    # Rounding may leave [-1, 1]; a negative share has no logarithm.
    kernel = ops.relu((cosines + 1.0) / 2.0)
    if mask is not None:
        kernel = ops.where(mask, kernel, ops.zeros_like(kernel))
    total = ops.sum(kernel, axis=1, keepdims=True)
    return kernel / ops.maximum(total, TINY)


def pair(
    term: str, mask: Tensor | None, learner: Tensor, source: Tensor, least: int = 2
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the mask and both sides as (B, D), all 0 where too few rows count."""
    mask, (learner, source) = prepare(term, mask, learner, source)
    mask = need(least, mask, learner)
    return mask, keep(flat(learner), mask), keep(flat(source), mask)


def spread(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return (B, D) values centered over the rows that count, of magnitude about 1.

    A column whose differences are within the rounding of its own values becomes 0: a
    layer that is constant would otherwise be compared by its noise. A large offset of
    another column has no say in that.
    """
    shifted = centered(values, mask)
    reach = ops.max(ops.abs(shifted), axis=0, keepdims=True)
    alive = ops.greater(ops.stop_gradient(reach), floor_of(values, axis=0))
    return peak_scaled(ops.where(alive, shifted, ops.zeros_like(shifted)))


def _prefers_gram(batch: int | None, width: int | None, other: int | None) -> bool:
    """Whether B x B products cost less than products of features."""
    if width is None or other is None:
        return True
    batch = batch or USUAL_BATCH
    return batch * (width + other) <= width * width + width * other + other * other


def _inner(first: Tensor, second: Tensor) -> Tensor:
    return ops.matmul(ops.transpose(first), second)
