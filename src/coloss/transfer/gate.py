"""Gates: a source counts as far as it is measured to be better than its learner.

A weak source harms. Row gates are the `weights=` of a term:
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
