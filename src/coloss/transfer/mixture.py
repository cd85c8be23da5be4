"""One answer of several sources."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from coloss.transfer.confidence import confidence_weights
from coloss.transfer.divergences import FORWARD, between, check_divergence
from coloss.transfer.gate import row_gate
from coloss.transfer.labels import labeled, of_class
from coloss.transfer.masks import keep, masked_mean, prepare
from coloss.transfer.presence import presences
from coloss.transfer.response import LOWEST, check_classes, check_temperature
from coloss.typing import Tensor

MEAN, BEST, GATED, CONFIDENCE = "mean", "best", "gated", "confidence"


def consensus(
    learner: Tensor,
    *sources: Tensor,
    how: str = MEAN,
    labels: Tensor | None = None,
    temperature: float = 4.0,
    source_masks: Sequence[Tensor | None] | None = None,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
    divergence: str = FORWARD,
) -> Tensor:
    r"""Distillation from what several sources answer together.

    $$T^2 \; \mathrm{mean}_b \, \mathrm{KL}(\bar p \, \Vert \, p_s), \qquad
      \bar p = \sum_k w_k \, p_k, \qquad p = \mathrm{softmax}(z / T)$$

    - `how="mean"`: equal weights $w$. Anil et al., ICLR 2018, "Large scale distributed
      neural network training through online distillation" (codistillation).
    - `how="best"`: in each row the one source that gives most to the true class, or
      without a label the most confident one, judged at T = 1; the first of equals.
      After Guo et al., CVPR 2020, "Online Knowledge Distillation via Collaborative
      Learning" (KDCL), which takes the source of the smallest cross-entropy.
    - `how="gated"`: $w$ are the sources' `row_gate` against the learner, divided by
      their sum; a row whose gates are all 0 adds 0. After the gate of Lan et al.,
      NeurIPS 2018, "Knowledge Distillation by On-the-Fly Native Ensemble" (ONE), with
      a measured gate in place of a trained one.

    - `how="confidence"`: `confidence_weights`, by how well each source knows the label
      (CA-MKD). In objectives: `consensus(..., weights="confidence")`.

    Weight 1 is weight 1 of `distill`, whatever the number of sources; with one source
    and `how="mean"` this is `distill`. The weights $w$ are detached, the sources not.

    Args:
        learner: (B, C) logits; (B, ..., C) averages over the positions between, each
            with its own best source or gates.
        *sources: one or more, logits of the same shape.
        how: "mean", "best", "gated" or "confidence".
        labels: for all but "mean": (B, ...) class numbers, below 0: no label; or
            (B, ..., C) one-hot, NaN: no label; None: there is none.
        temperature: T, above 0.
        source_masks: for each source bool, the rows (B,) it has (a missing modality)
            or the positions (B, ...), or None for all. A row is taught by the sources
            it has; one without any does not count.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.
        divergence: as in `distill`.

    Returns:
        A scalar, 0 or more up to rounding; 0 where no row counts.

    Raises:
        ValueError: without a source, for an unknown `how`, unequal classes, fewer than
            2, another number of masks than sources, or a temperature of 0 or less.
    """
    if how not in (MEAN, BEST, GATED, CONFIDENCE):
        raise ValueError(
            'consensus needs how="mean", "best", "gated" or "confidence"; found '
            f"{how!r}"
        )
    check_temperature("consensus", temperature)
    check_divergence("consensus", divergence)
    mask, (learner, *others) = prepare(
        "consensus", mask, learner, *sources, positions=True
    )
    check_classes("consensus", learner, *others)
    shares, mask = presences("consensus", learner, len(others), source_masks, mask)
    learner = keep(learner, mask)
    others = [
        keep(other, ops.greater(share, 0))
        for other, share in zip(others, shares, strict=True)
    ]
    parts = ops.stack(shares, axis=-1)
    if how != MEAN:
        choose = {BEST: _best, GATED: _gated, CONFIDENCE: _confident}[how]
        parts = choose(learner, others, parts, labels)
    taught = ops.greater(ops.sum(parts, axis=-1), 0)
    log_t = _mixed(learner, others, parts, temperature)
    log_s = ops.log_softmax(learner / temperature, axis=-1)
    values = keep(between(log_s, log_t, divergence) * temperature**2, taught)
    return masked_mean(values, mask, weights, per_row)


def _best(
    learner: Tensor, others: list[Tensor], parts: Tensor, labels: Tensor | None
) -> Tensor:
    """Return (B, ..., K) with 1 for the best source that is there."""
    scores = []
    for other in others:
        p = ops.softmax(ops.stop_gradient(other))
        score = ops.max(p, axis=-1)
        if labels is not None:
            classes, known = labeled("consensus", labels, learner)
            score = ops.where(known, of_class(p, classes), score)
        scores.append(score)
    score = ops.stack(scores, axis=-1)
    here = ops.broadcast_to(ops.greater(_raised(parts, score), 0), ops.shape(score))
    first = ops.argmax(ops.where(here, score, -ops.ones_like(score)), axis=-1)
    chosen = ops.one_hot(first, len(others), dtype=parts.dtype)
    return ops.where(here, chosen, ops.zeros_like(chosen))


def _confident(
    learner: Tensor, others: list[Tensor], parts: Tensor, labels: Tensor | None
) -> Tensor:
    """Return (B, ..., K) weights by how well each source that is there knows it."""
    here = ops.greater(_raised(parts, learner), 0)
    here = ops.broadcast_to(here, (*ops.shape(learner)[:-1], len(others)))
    present = [here[..., place] for place in range(len(others))]
    return confidence_weights(*others, labels=labels, present=present)


def _gated(
    learner: Tensor, others: list[Tensor], parts: Tensor, labels: Tensor | None
) -> Tensor:
    """Return (B, ..., K) gates that sum to 1, or to 0 where no source is better."""
    gates = ops.stack([row_gate(learner, other, labels) for other in others], axis=-1)
    here = ops.greater(_raised(parts, gates), 0)
    gates = ops.where(here, gates, ops.zeros_like(gates))
    total = ops.sum(gates, axis=-1, keepdims=True)
    return gates / ops.where(ops.greater(total, 0), total, ops.ones_like(total))


def _raised(parts: Tensor, values: Tensor) -> Tensor:
    """Return parts of rows (B, K) as parts of positions (B, 1, K), if values are so."""
    while len(parts.shape) < len(values.shape):
        parts = ops.expand_dims(parts, -2)
    return parts


def _mixed(
    learner: Tensor, others: list[Tensor], parts: Tensor, temperature: float
) -> Tensor:
    """Return the mixture's logarithm, (B, ..., C); of equal parts where there is none.

    It is taken in log space: its smallest probabilities do not vanish.
    """
    parts = _raised(ops.stop_gradient(parts), learner)
    empty = ops.logical_not(ops.any(ops.greater(parts, 0), axis=-1, keepdims=True))
    parts = ops.where(empty, ops.ones_like(parts) / len(others), parts)
    logs = []
    for index, other in enumerate(others):
        part = parts[..., index : index + 1]
        inside = ops.greater(part, 0)
        log_p = ops.log_softmax(other / temperature, axis=-1)
        log_part = ops.log(ops.where(inside, part, ops.ones_like(part)))
        logs.append(ops.where(inside, log_part + log_p, ops.full_like(log_p, LOWEST)))
    return ops.logsumexp(ops.stack(logs, axis=0), axis=0)
