"""Terms for labels that may be wrong."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from coloss.transfer.masks import count, keep, masked_mean, prepare
from coloss.transfer.presence import presences
from coloss.transfer.response import LOWEST, check_temperature
from coloss.typing import Tensor


def coteach(
    learner: Tensor,
    *sources: Tensor,
    temperature: float = 1.0,
    source_masks: Sequence[Tensor | None] | None = None,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    r"""The learner's own loss, on the rows whose labels the others find credible.

    $$\sum_b w_b \, \ell_b, \qquad
      w = \mathrm{softmax}_b(-\bar\ell_b / T), \qquad
      \bar\ell_b = \mathrm{mean}_k \, \ell_b^{(k)}$$

    A wrong label is one that other networks find unlikely. The softened form of the
    small-loss selection of Han et al., NeurIPS 2018, "Co-teaching", and Jiang et al.,
    ICML 2018, "MentorNet" (they keep a share of the rows and drop the others). The
    weights sum to 1 over the rows that count, so with equal losses of the sources this
    is the learner's plain mean loss: weight 1 stands in the place of its own loss with
    weight 1. The weights are always detached.

    Args:
        learner: (B,) the learner's own loss for each row.
        *sources: one or more, (B,) the same of the other networks, on the same labels.
        temperature: T, above 0, in units of the loss; large: all rows alike.
        source_masks: for each source (B,) bool, the rows it has, or None for all; the
            mean is over the sources that a row has, and a row without one does not
            count.
        mask: (B,) bool, rows that count (the labeled ones); None: all.
        weights: (B,) multiply the rows; those above still sum to 1.
        per_row: whether to return (B,), rows whose mean is the term, in its place.

    Returns:
        A scalar; 0 where no row counts.

    Raises:
        ValueError: without a source, for losses that are not (B,), or a temperature
            of 0 or less.
    """
    check_temperature("coteach", temperature)
    mask, (own, *others) = prepare("coteach", mask, learner, *sources)
    for losses in (own, *others):
        if len(losses.shape) != 1:
            raise ValueError(
                "coteach needs losses of shape (batch,), one a row; found "
                f"{tuple(losses.shape)}"
            )
    shares, mask = presences("coteach", own, len(others), source_masks, mask)
    own = keep(own, mask)
    total = ops.zeros_like(own)
    for other, share in zip(others, shares, strict=True):
        total = total + keep(other, ops.greater(share, 0)) * share
    score = -ops.stop_gradient(total) / temperature
    if mask is not None:
        score = ops.where(mask, score, ops.full_like(score, LOWEST))
    # Not `ops.softmax`: it warns of an axis of size 1, as a last batch of one row is.
    credible = ops.exp(score - ops.max(score))
    credible = credible / ops.sum(credible) * count(mask, own)
    return masked_mean(credible * own, mask, weights, per_row)
