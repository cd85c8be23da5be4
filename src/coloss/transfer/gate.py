"""Gates: a source counts as far as it is measured to be better than its learner.

A weak source harms. Gates of rows are the `weights=` of a term:
`distill(learner, source, weights=row_gate(learner, source, labels))`; a network gate
multiplies the term.
"""

from __future__ import annotations

from keras import ops

from coloss.transfer.labels import labeled, of_class
from coloss.transfer.masks import keep, prepare
from coloss.transfer.response import check_classes
from coloss.typing import Tensor


def row_gate(
    learner: Tensor,
    source: Tensor,
    labels: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    r"""How far a source is to be followed on each row or position, from 0 to 1.

    $$g_b = \max(0, \; p_{b,y}^t - p_{b,y}^s) \text{ with a label } y, \qquad
      g_b = \max_c p_{b,c}^t \text{ without one}$$

    with $p = \mathrm{softmax}(z)$. On labeled rows the gate of MBSD: the source counts
    by how much more it gives to the true class. Without a label nothing measures who
    is right, and the source's confidence stands in.

    Args:
        learner: (B, ..., C) logits.
        source: logits of the same shape.
        labels: (B, ...) class numbers, below 0: no label; or (B, ..., C) one-hot, NaN:
            no label; None: there is none.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.

    Returns:
        (B, ...), detached; 0 where nothing counts.

    Raises:
        ValueError: for unequal classes, fewer than 2, or labels of another shape.
    """
    mask, (learner, source) = prepare("row_gate", mask, learner, source, positions=True)
    check_classes("row_gate", learner, source)
    own, other = (ops.softmax(ops.stop_gradient(x)) for x in (learner, source))
    gate = ops.max(other, axis=-1)
    if labels is not None:
        labels, known = labeled("row_gate", labels, learner, mask)
        lead = of_class(other, labels) - of_class(own, labels)
        gate = ops.where(known, ops.maximum(lead, ops.zeros_like(lead)), gate)
    return ops.stop_gradient(keep(gate, mask))


def rank_gate(learner: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Whether a source is to be followed on a row: where both rank classes alike.

    $$g_b = \left[ \tau_b > 0 \right], \qquad
      \tau_b = \frac{2}{C (C - 1)} \sum_{i < j}
      \mathrm{sign}(z_{b,i}^s - z_{b,j}^s) \, \mathrm{sign}(z_{b,i}^t - z_{b,j}^t)$$

    Kendall's rank correlation of the two networks' classes. The filter of Huo et al.,
    CVPR 2024, "C2KD: Bridging the Modality Gap for Cross-Modal Knowledge Distillation":
    a source of another modality that orders the classes of a row against the learner
    is left out there. It needs no label, and does not ask who is right: it closes on
    rows where the learner is wrong altogether.

    Args:
        learner: (B, ..., C) logits, 2 classes or more.
        source: logits of the same shape.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.

    Returns:
        (B, ...) of 0 and 1, detached; 0 where nothing counts. Takes memory for C x C
        numbers a row.

    Raises:
        ValueError: for unequal classes, or fewer than 2.
    """
    mask, (learner, source) = prepare(
        "rank_gate", mask, learner, source, positions=True
    )
    check_classes("rank_gate", learner, source)
    own, other = (
        ops.sign(ops.expand_dims(x, -1) - ops.expand_dims(x, -2))
        for x in (ops.stop_gradient(learner), ops.stop_gradient(source))
    )
    agreeing = ops.sum(own * other, axis=(-2, -1))
    gate = ops.cast(ops.greater(agreeing, 0), agreeing.dtype)
    return ops.stop_gradient(keep(gate, mask))


def network_gate(learner_accuracy: Tensor, source_accuracy: Tensor) -> Tensor:
    """Whether a network is to be followed at all: 1 where it is the better one, else 0.

    Both accuracies must be measured on the same rows: labeled ones as training goes
    on, or validation rows.

    Args:
        learner_accuracy: a number or tensor, running accuracy of the learner.
        source_accuracy: the same of the source.

    Returns:
        1.0 where the source's is above the learner's, else 0.0; detached. Equal, or
        not measured yet (NaN), is closed: a source has to show that it is better.
    """
    own = ops.cast(ops.convert_to_tensor(learner_accuracy), "float32")
    other = ops.cast(ops.convert_to_tensor(source_accuracy), "float32")
    return ops.stop_gradient(ops.cast(ops.greater(other, own), "float32"))
