"""How much each of several sources is to be believed."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from coloss.transfer.labels import labeled, of_class
from coloss.transfer.masks import keep, prepare
from coloss.transfer.response import LOWEST, check_classes
from coloss.typing import Tensor


def confidence_weights(
    *sources: Tensor,
    labels: Tensor | None = None,
    present: Sequence[Tensor | None] | None = None,
) -> Tensor:
    r"""Weights of several sources by how well each one knows the true class of a row.

    $$w_{b,k} = \frac{1}{K - 1}
      \Bigl(1 - \frac{\exp H_{b,k}}{\sum_j \exp H_{b,j}}\Bigr),
      \qquad H_{b,k} = -\log p_{b,k}(y_b)$$

    Zhang, Chen and Wang, ICASSP 2022, "Confidence-Aware Multi-Teacher Knowledge
    Distillation" (CA-MKD), with K the number of sources that the row has. A row
    without a label, or with one source, has equal weights.

    Args:
        *sources: one or more, (B, ..., C) logits of one shape.
        labels: (B, ...) class numbers, below 0: no label; or (B, ..., C) one-hot, NaN:
            no label; None: there is none.
        present: for each source bool, the rows (B,) or positions (B, ...) that it has;
            None: all.

    Returns:
        (B, ..., K), detached; 1 together where a row has a source, 0 for those absent.

    Raises:
        ValueError: without a source, for unequal classes, or another number of masks.
    """
    if not sources:
        raise ValueError("confidence_weights needs at least 1 source; found 0")
    if present is not None and len(present) != len(sources):
        raise ValueError(
            f"confidence_weights needs one mask or None for each source; found "
            f"{len(present)} for {len(sources)} sources"
        )
    check_classes("confidence_weights", *sources)
    cleaned, masks = [], []
    for source, mask in zip(sources, present or [None] * len(sources), strict=True):
        mask, (source,) = prepare("confidence_weights", mask, source, positions=True)
        cleaned.append(ops.stop_gradient(keep(source, mask)))
        masks.append(mask)
    places = ops.ones_like(cleaned[0][..., 0])
    here = ops.stack([keep(places, mask) for mask in masks], axis=-1)
    number = ops.sum(here, axis=-1, keepdims=True)
    equal = here / ops.maximum(number, 1.0)
    if labels is None:
        return equal
    classes, known = labeled("confidence_weights", labels, cleaned[0])
    entropy = ops.stack(
        [-of_class(ops.log_softmax(one, axis=-1), classes) for one in cleaned], axis=-1
    )
    share = ops.softmax(
        ops.where(here > 0, entropy, ops.full_like(entropy, LOWEST)), axis=-1
    )
    trusted = here * (1.0 - share) / ops.maximum(number - 1.0, 1.0)
    judged = ops.logical_and(ops.expand_dims(known, -1), number > 1)
    return ops.stop_gradient(ops.where(judged, trusted, equal))
