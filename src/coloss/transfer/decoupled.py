"""Distillation taken apart: target against rest, rows against columns."""

from __future__ import annotations

from keras import ops

from coloss.transfer.labels import hot, labeled, of_class
from coloss.transfer.masks import (
    as_samples,
    count,
    keep,
    masked_mean,
    need,
    prepare,
)
from coloss.transfer.response import LOWEST, check_classes, check_temperature
from coloss.typing import Tensor

# A spread below this share of the largest value is rounding, not a difference.
ROUNDING = 1e-6


def dkd(
    learner: Tensor,
    source: Tensor,
    labels: Tensor,
    alpha: float = 1.0,
    beta: float = 1.0,
    temperature: float = 4.0,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    r"""Decoupled knowledge distillation: how sure, and what else, weighed apart.

    $$T^2 \, \mathrm{mean}_b \bigl[ \alpha \, \mathrm{KL}(b_t \Vert b_s)
      + \beta \, \mathrm{KL}(q_t \Vert q_s) \bigr]$$

    with $p = \mathrm{softmax}(z / T)$, $b = (p_y, 1 - p_y)$ for the true class $y$, and
    $q$ the probabilities among the other classes, $q_c = p_c / (1 - p_y)$. Zhao et al.,
    CVPR 2022, "Decoupled Knowledge Distillation". Weight 1 is theirs. `distill` is this
    with alpha 1 and, in each row, beta $1 - p_y$ of the source: there a confident
    source says little about the other classes. The paper's beta is 8 on CIFAR-100
    (after a warm-up of 20 epochs); the default here is 1, since 8 hurts on small data.

    Args:
        learner: (B, C) logits, C at least 3; (B, ..., C) averages over the positions
            between that have a label.
        source: logits of the same shape. Not detached here.
        labels: (B, ...) class numbers, or (B, ..., C) one-hot. What has no label (below
            0, or NaN) does not count.
        alpha: weight of the target against the rest, 0 or more.
        beta: weight of the other classes among themselves, 0 or more.
        temperature: T, above 0.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.

    Returns:
        A scalar, 0 or more up to rounding; 0 where no row counts.

    Raises:
        ValueError: for unequal classes, fewer than 3 (with 2 nothing is left beside
            the true class), labels of another shape, a negative weight, or a
            temperature of 0 or less.
    """
    mask, (learner, source) = prepare("dkd", mask, learner, source, positions=True)
    check_classes("dkd", learner, source, least=3)
    check_temperature("dkd", temperature)
    _check_weights("dkd", alpha=alpha, beta=beta)
    labels, mask = labeled("dkd", labels, learner, mask)
    own, other = (
        _apart(keep(logits, mask) / temperature, labels) for logits in (learner, source)
    )
    values = alpha * _two_way(own[0], other[0])
    values = values + beta * _among(own[1], other[1], labels)
    return masked_mean(values * temperature**2, mask, weights, per_row)


def dist(
    learner: Tensor,
    source: Tensor,
    beta: float = 1.0,
    gamma: float = 1.0,
    temperature: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    r"""Distillation from a stronger teacher: correlations in place of probabilities.

    $$\beta \Bigl( 1 - \mathrm{mean}_b \, \rho(p_{b,:}^s, p_{b,:}^t) \Bigr)
      + \gamma \Bigl( 1 - \mathrm{mean}_c \, \rho(p_{:,c}^s, p_{:,c}^t) \Bigr)$$

    with $p = \mathrm{softmax}(z / T)$ and Pearson's $\rho$. Huang et al., NeurIPS 2022,
    "Knowledge Distillation from A Stronger Teacher". Weight 1 is theirs at T = 1. Their
    code multiplies by $T^2$; here it does not, since a correlation has no scale: its
    gradient does not fade as T grows. Their weight w at T is $w T^2$ here.

    Args:
        learner: (B, C) logits; of (B, ..., C) every position is a row, as in their
            code for segmentation.
        source: logits of the same shape. Not detached here.
        beta: weight of the rows (which classes go together), 0 or more.
        gamma: weight of the columns (which rows are alike), 0 or more.
        temperature: T, above 0.
        mask: bool, the rows (B,) or positions (B, ...) that count, in the columns too;
            None: all.

    Returns:
        A scalar from 0 to 2 (beta + gamma), up to rounding. A row or column that is
        constant on one side is uncorrelated (1) and gets no gradient. 0 where fewer
        than 2 rows count.

    Raises:
        ValueError: for unequal classes, fewer than 2, a negative weight, or a
            temperature of 0 or less.
    """
    mask, (learner, source) = prepare("dist", mask, learner, source, positions=True)
    check_classes("dist", learner, source)
    check_temperature("dist", temperature)
    _check_weights("dist", beta=beta, gamma=gamma)
    source, _ = as_samples(source, None)
    learner, mask = as_samples(learner, mask)
    mask = need(2, mask, learner)
    own, other = (ops.softmax(keep(x, mask) / temperature) for x in (learner, source))
    rows = 1.0 - ops.sum(_across(own) * _across(other), axis=-1)
    columns = 1.0 - ops.sum(_down(own, mask) * _down(other, mask), axis=0)
    value = beta * masked_mean(rows, mask) + gamma * ops.mean(columns)
    if mask is None:
        return value
    return ops.where(ops.any(mask), value, ops.zeros_like(value))


def _apart(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the target's log-odds (B, ...), and log q (B, ..., C), 0 at the target.

    Both come from the logits, not from probabilities: a probability of 1 - 1e-9 is 1
    in float32, and nothing would be left for the rest.
    """
    target = hot(logits, labels)
    others = ops.where(target, ops.full_like(logits, LOWEST), logits)
    rest = ops.logsumexp(others, axis=-1, keepdims=True)
    log_q = ops.where(target, ops.zeros_like(logits), logits - rest)
    return of_class(logits, labels) - ops.squeeze(rest, -1), log_q


def _two_way(own: Tensor, other: Tensor) -> Tensor:
    """Return KL between two yes/no answers, given their log-odds."""
    yes = ops.sigmoid(other) * (ops.log_sigmoid(other) - ops.log_sigmoid(own))
    no = ops.sigmoid(-other) * (ops.log_sigmoid(-other) - ops.log_sigmoid(-own))
    return yes + no


def _among(own: Tensor, other: Tensor, labels: Tensor) -> Tensor:
    """Return KL among the classes that are not the target, given log q."""
    q = ops.where(hot(other, labels), ops.zeros_like(other), ops.exp(other))
    return ops.sum(q * (other - own), axis=-1)


def _across(values: Tensor) -> Tensor:
    """Return rows centered and of norm 1; their products are correlations."""
    return _standard(values, None, -1)


def _down(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return columns centered and of norm 1 over the rows that count; 0 elsewhere."""
    return _standard(values, mask, 0)


def _standard(values: Tensor, mask: Tensor | None, axis: int) -> Tensor:
    """Return probabilities centered and of norm 1 along an axis; 0 where constant.

    The largest is subtracted first, so that equal values become exactly 0 and no
    rounding is blown up to a direction.
    """
    known = values
    if mask is not None:
        known = ops.where(ops.expand_dims(mask, -1), values, ops.zeros_like(values))
    largest = ops.stop_gradient(ops.max(known, axis=axis, keepdims=True))
    centered = keep(values - largest, mask)
    if axis == 0:
        mean = ops.sum(centered, axis=0, keepdims=True) / count(mask, centered)
    else:
        mean = ops.mean(centered, axis=axis, keepdims=True)
    centered = keep(centered - mean, mask)
    peak = ops.stop_gradient(ops.max(ops.abs(centered), axis=axis, keepdims=True))
    alive = ops.greater(peak, ROUNDING * largest)
    # A correlation has no scale, so a constant divisor leaves its gradient exact.
    centered = centered / ops.where(alive, peak, ops.ones_like(peak))
    centered = ops.where(alive, centered, ops.zeros_like(centered))
    square = ops.sum(ops.square(centered), axis=axis, keepdims=True)
    return centered / ops.sqrt(ops.where(alive, square, ops.ones_like(square)))


def _check_weights(term: str, **weights: float) -> None:
    for name, weight in weights.items():
        if isinstance(weight, int | float) and not weight >= 0:
            raise ValueError(f"{term} needs {name} of 0 or more; found {weight}")
