"""Terms on what networks answer: class logits, or outputs of any kind."""

from __future__ import annotations

from keras import ops

from coloss.transfer.correction import corrected
from coloss.transfer.divergences import FORWARD, between, check_divergence
from coloss.transfer.masks import masked_mean, prepare
from coloss.typing import Tensor

# Stands for minus infinity where an infinity would make NaN in a gradient.
LOWEST = -1e30


def distill(
    learner: Tensor,
    source: Tensor,
    temperature: float = 4.0,
    standardize: bool = False,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
    divergence: str = FORWARD,
    correct: bool = False,
    labels: Tensor | None = None,
) -> Tensor:
    r"""Knowledge distillation: the learner takes on the source's class probabilities.

    $$T^2 \; \mathrm{mean}_b \sum_c p_t \log (p_t / p_s),
      \qquad p = \mathrm{softmax}(z / T)$$

    Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network".
    Weight 1 is their weight 1 on soft targets, with the factor $T^2$ they advise: a
    change of temperature leaves the size of the gradient as it was. (Their soft
    cross-entropy and this divergence differ by the source's entropy only.) Where a
    paper has `alpha * soft + (1 - alpha) * hard`, the weight here is
    `alpha / (1 - alpha)`.

    Args:
        learner: (B, C) logits; (B, ..., C) averages over the axes between.
        source: logits of the same shape. Not detached here.
        temperature: T, above 0.
        standardize: shift and scale each row of logits to mean 0 and standard
            deviation 1 (of the population), `z <- (z - mean) / (std + 1e-7)`, on both
            sides. Sun et al., CVPR 2024, "Logit Standardization in Knowledge
            Distillation". A row of equal logits stays 0 and gets no gradient.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.
        divergence: "forward" as above, KL(source || learner); "reverse", KL(learner ||
            source); "jsd", Jensen-Shannon: see `coloss.transfer.between`.
        correct: whether a source that is wrong on a labeled row is put right there
            first, see `coloss.transfer.corrected`.
        labels: for `correct`: (B, ...) class numbers, below 0: no label; or (B, ..., C)
            one-hot, NaN: no label.

    Returns:
        A scalar, 0 or more; 0 where no row counts.

    Raises:
        ValueError: for unequal classes, fewer than 2, a temperature of 0 or less, an
            unknown divergence, or `correct` without labels.
    """
    mask, (learner, source) = prepare("distill", mask, learner, source, positions=True)
    check_classes("distill", learner, source)
    check_temperature("distill", temperature)
    check_divergence("distill", divergence)
    if correct:
        if labels is None:
            raise ValueError("distill needs `labels` for `correct=True`")
        source = corrected(source, labels, mask)
    if standardize:
        learner, source = standardized(learner), standardized(source)
    values = softened(learner, source, temperature, divergence)
    return masked_mean(values, mask, weights, per_row)


def match_logits(
    learner: Tensor,
    source: Tensor,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    r"""Mean squared difference of the outputs; for logits and for regression.

    $$\mathrm{mean} \, (z_s - z_t)^2$$

    Ba and Caruana 2014, "Do Deep Nets Really Need to be Deep?". They sum over the
    outputs and halve; their weight 1 is C/2 here.

    Args:
        learner: (B, ...) outputs.
        source: outputs of the same shape. Not detached here.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.

    Returns:
        A scalar, 0 or more; 0 where no row counts.

    Raises:
        ValueError: for unequal shapes.
    """
    mask, (learner, source) = prepare(
        "match_logits", mask, learner, source, positions=True
    )
    check_shapes("match_logits", "outputs", learner, source)
    return masked_mean(ops.square(learner - source), mask, weights, per_row)


def mutual(
    learner: Tensor,
    *sources: Tensor,
    temperature: float = 1.0,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
    divergence: str = FORWARD,
) -> Tensor:
    r"""Deep mutual learning, for one of the networks that teach each other.

    $$\frac{T^2}{K - 1} \sum_{j \ne i} \mathrm{mean}_b \sum_c p_j \log (p_j / p_i)$$

    Zhang et al., CVPR 2018, "Deep Mutual Learning". Weight 1 is theirs. The
    divergence is summed over the classes. Call it once for every network, with the
    others' logits detached.

    Args:
        learner: (B, C) logits of network i.
        *sources: one or more, logits of the K - 1 others, same shape. Not detached
            here.
        temperature: T, above 0; the paper has 1.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.
        divergence: as in `distill`; the paper's is "forward".

    Returns:
        A scalar, 0 or more; 0 where no row counts.

    Raises:
        ValueError: without a source, for unequal classes, fewer than 2, a temperature
            of 0 or less, or an unknown divergence.
    """
    if not sources:
        raise ValueError("mutual needs at least 1 source beside the learner; found 0")
    check_temperature("mutual", temperature)
    check_divergence("mutual", divergence)
    mask, (learner, *others) = prepare(
        "mutual", mask, learner, *sources, positions=True
    )
    total: Tensor = 0.0
    for other in others:
        check_classes("mutual", learner, other)
        total = total + softened(learner, other, temperature, divergence)
    return masked_mean(total / len(others), mask, weights, per_row)


def pseudo_label(
    learner: Tensor,
    threshold: float = 0.95,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    r"""Self-training: cross-entropy against the learner's own confident predictions.

    $$\mathrm{mean}_b \, [\max_c p_c \ge \tau] \, (-\log p_{\hat c}),
      \qquad \hat c = \arg\max_c p_c$$

    Lee 2013, "Pseudo-Label"; the threshold and the mean over all unlabeled rows,
    confident or not, are those of FixMatch (Sohn et al., NeurIPS 2020), whose weight
    1 is weight 1 here. It needs no other network: it is the control that a claim
    about peers has to beat. The prediction and the choice of rows are detached.

    Args:
        learner: (B, C) logits; (B, ..., C) averages over the axes between.
        threshold: probability from which a prediction counts as a label.
        mask: bool, the rows (B,) or positions (B, ...) that count (the unlabeled
            ones); None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.

    Returns:
        A scalar, 0 or more; 0 where no row counts or none is confident.

    Raises:
        ValueError: for fewer than 2 classes or a threshold outside [0, 1).
    """
    if isinstance(threshold, int | float) and not 0 <= threshold < 1:
        raise ValueError(
            "pseudo_label needs a threshold from 0 up to, not including, 1; "
            f"found {threshold}"
        )
    mask, (learner,) = prepare("pseudo_label", mask, learner, positions=True)
    check_classes("pseudo_label", learner)
    log_p = ops.log_softmax(learner, axis=-1)
    known = ops.stop_gradient(log_p)
    label = ops.one_hot(ops.argmax(known, axis=-1), log_p.shape[-1], dtype=log_p.dtype)
    confident = ops.greater_equal(ops.exp(ops.max(known, axis=-1)), threshold)
    entropy = -ops.sum(label * log_p, axis=-1)
    entropy = ops.where(confident, entropy, ops.zeros_like(entropy))
    return masked_mean(entropy, mask, weights, per_row)


def softened(
    learner: Tensor, source: Tensor, temperature: float, kind: str = FORWARD
) -> Tensor:
    """Return T^2 times the divergence at temperature T, (B, ...); see `between`."""
    log_s = ops.log_softmax(learner / temperature, axis=-1)
    log_t = ops.log_softmax(source / temperature, axis=-1)
    return between(log_s, log_t, kind) * temperature**2


def standardized(logits: Tensor) -> Tensor:
    """Return logits with mean 0 and standard deviation 1 in each row.

    The largest is subtracted first: equal logits become exactly 0, where subtracting
    their rounded mean would leave noise to be scaled up.
    """
    logits = logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    centered = logits - ops.mean(logits, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
    alive = ops.greater(variance, 0)
    std = ops.sqrt(ops.where(alive, variance, ops.ones_like(variance)))
    return ops.where(alive, centered / (std + 1e-7), ops.zeros_like(centered))


def check_classes(term: str, learner: Tensor, *sources: Tensor, least: int = 2) -> None:
    """Refuse logits that are not (B, ..., C) of one shape with enough classes."""
    for side, logits in (("learner", learner), *(("source", s) for s in sources)):
        if len(logits.shape) < 2:
            raise ValueError(
                f"{term} needs logits of shape (batch, classes); {side} has shape "
                f"{tuple(logits.shape)}"
            )
    classes = learner.shape[-1]
    for source in sources:
        if source.shape[-1] != classes:
            raise ValueError(
                f"{term} needs equal classes; learner has {classes}, source has "
                f"{source.shape[-1]}"
            )
        check_shapes(term, "logits", learner, source)
    if classes is None or classes < least:
        raise ValueError(
            f"{term} needs at least {least} classes; learner has {classes}"
        )


def check_shapes(term: str, what: str, learner: Tensor, source: Tensor) -> None:
    """Refuse tensors whose known sizes beyond the batch differ."""
    own, other = tuple(learner.shape[1:]), tuple(source.shape[1:])
    same = len(own) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(own, other, strict=True)
    )
    if not same:
        raise ValueError(
            f"{term} needs {what} of equal shape beyond the batch; learner has {own}, "
            f"source has {other}"
        )


def check_temperature(term: str, temperature: float) -> None:
    """Refuse a temperature that is not above 0."""
    if isinstance(temperature, int | float) and not temperature > 0:
        raise ValueError(f"{term} needs a temperature above 0; found {temperature}")
