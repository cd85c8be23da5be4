"""Terms on layer outputs, row by row: values, attention, embeddings."""

from __future__ import annotations

from keras import ops

from coloss.transfer.masks import (
    flat,
    keep,
    masked_mean,
    need,
    peak_scaled,
    prepare,
    unit,
)
from coloss.transfer.response import check_shapes, check_temperature
from coloss.typing import Tensor

# Stands for minus infinity in a logit; infinity itself would give NaN gradients.
LOWEST = -1e30


def hint(
    learner: Tensor,
    source: Tensor,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    r"""The learner's layer points where the source's does.

    $$\mathrm{mean} \, (n(r(f_s)) - n(f_t))^2, \qquad n(f) = f / \lVert f \rVert_2$$

    with r a projector, applied by the caller where the widths differ. Romero et al.,
    ICLR 2015, "FitNets: Hints for Thin Deep Nets", who halve the squared norm of the
    plain difference. Here rows are normalized, so that the size of the features has no
    say, and the mean is over rows and the D numbers of each: the value is
    2 (1 - cos) / D, and a weight of D / 2 makes it 1 - cos.

    Args:
        learner: (B, ...) a layer's output, projected, flattened to (B, D).
        source: (B, ...) of the same shape. Not detached here.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.

    Returns:
        A scalar from 0 to 4 / D; 0 where no row counts. A row of zeros stays 0 and
        gets no gradient.

    Raises:
        ValueError: for unequal shapes.
    """
    mask, (learner, source) = prepare("hint", mask, learner, source, positions=True)
    check_shapes("hint", "features", learner, source)
    difference = unit(flat(learner)) - unit(flat(source))
    difference = ops.reshape(difference, ops.shape(learner))
    return masked_mean(ops.square(difference), mask, weights, per_row)


def vid(
    learner: Tensor,
    source: Tensor,
    raw_variance: Tensor,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    r"""Variational information distillation: the learner predicts the source's layer.

    $$\tfrac12 \, \mathrm{mean} \left( (\mu(f_s) - f_t)^2 / \sigma^2 + \log \sigma^2
      \right), \qquad \sigma^2_c = \mathrm{softplus}(a_c) + 10^{-5}$$

    Ahn et al., CVPR 2019, "Variational Information Distillation for Knowledge
    Transfer". The map mu and the number a of each channel are trained with the
    learner; train both, or the term loses its meaning. Weight 1 is that of their code,
    which takes the mean as well.

    Args:
        learner: (B, ..., C) mu, the learner's layer output mapped to the source's
            width.
        source: (B, ..., C). Not detached here.
        raw_variance: (C,) a, one number a channel, or () one for all.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.

    Returns:
        A scalar, of either sign; 0 where no row counts.

    Raises:
        ValueError: for unequal shapes, or other than C variances.
    """
    mask, (learner, source) = prepare("vid", mask, learner, source, positions=True)
    check_shapes("vid", "features", learner, source)
    raw = ops.cast(ops.convert_to_tensor(raw_variance), learner.dtype)
    if tuple(raw.shape) not in ((), (learner.shape[-1],)):
        raise ValueError(
            f"vid needs one variance for each of the {learner.shape[-1]} channels; "
            f"found shape {tuple(raw.shape)}"
        )
    variance = ops.softplus(raw) + 1e-5
    terms = ops.square(learner - source) / variance + ops.log(variance)
    return masked_mean(0.5 * terms, mask, weights, per_row)


def attention(
    learner: Tensor,
    source: Tensor,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    r"""Attention transfer: the learner is active where the source is.

    $$\mathrm{mean} \, (n(m_s) - n(m_t))^2, \qquad
      m = \mathrm{mean}_c f^2, \; n(m) = m / \lVert m \rVert_2$$

    over the positions (time steps, or pixels). Zagoruyko and Komodakis, ICLR 2017,
    "Paying More Attention to Attention". Weight 1 is that of their code; the paper's
    text has half the norm of the difference in its place. Does not change when the
    features of a row are scaled, nor when channels change places.

    Args:
        learner: (B, ..., C) with one or more axes of positions between; channels last.
        source: (B, ..., C'), the same positions, any number of channels. Not detached
            here.
        mask: bool, the rows (B,) or positions (B, ...) that count; None: all.
        weights: (B,) multiply the rows, or (B, ...) the positions.
        per_row: whether to return (B,), one value a row, in place of their mean.

    Returns:
        A scalar, 0 or more; 0 where no row counts.

    Raises:
        ValueError: for plain vectors, or for different positions (pool them first).
    """
    mask, (learner, source) = prepare(
        "attention", mask, learner, source, positions=True
    )
    for side, values in (("learner", learner), ("source", source)):
        if len(values.shape) < 3:
            raise ValueError(
                "attention needs a time or space axis, (batch, ..., channels); "
                f"{side} has shape {tuple(values.shape)}. Use hint, cka or sp for "
                "vectors"
            )
    own, other = (_activity(values) for values in (learner, source))
    if learner.shape[1:-1] != source.shape[1:-1]:
        check_shapes("attention", "positions", own, other)
    difference = unit(flat(own)) - unit(flat(other))
    difference = ops.reshape(difference, ops.shape(own))
    return masked_mean(ops.square(difference), mask, weights, per_row)


def contrast(
    learner: Tensor,
    source: Tensor,
    temperature: float = 0.07,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    per_row: bool = False,
) -> Tensor:
    r"""Contrast: a row's embedding is nearest to the same row's of the source.

    $$-\tfrac12 \, \mathrm{mean}_i \left( \log \frac{e^{c_{ii}}}{\sum_j e^{c_{ij}}}
      + \log \frac{e^{c_{ii}}}{\sum_j e^{c_{ji}}} \right), \qquad
      c_{ij} = \langle n(e^s_i), n(e^t_j) \rangle / \tau$$

    After Tian et al., ICLR 2020, "Contrastive Representation Distillation", with the
    symmetric InfoNCE of a batch (van den Oord et al. 2018; Radford et al. 2021) in
    place of a memory of negatives. Weight 1 is one nat of InfoNCE, at most log B at
    the start; their weight of 0.8 is on a sum over 16384 negatives and has no exact
    counterpart.

    Args:
        learner: (B, D) embedding: a layer's output through a linear map.
        source: (B, D) the same of the source. Not detached here.
        temperature: tau, above 0.
        mask: (B,) bool, rows that count, as positives and as negatives; None: all.
        weights: (B,) multiply the rows.
        per_row: whether to return (B,), one value a row, in place of their mean.

    Returns:
        A scalar, 0 or more; 0 where fewer than 2 rows count.

    Raises:
        ValueError: for unequal widths, or a temperature of 0 or less.
    """
    check_temperature("contrast", temperature)
    mask, (learner, source) = prepare("contrast", mask, learner, source)
    check_shapes("contrast", "embeddings", learner, source)
    mask = need(2, mask, learner)
    own, other = (unit(keep(flat(x), mask)) for x in (learner, source))
    logits = ops.matmul(own, ops.transpose(other)) / temperature
    forward = _own_log_probability(logits, mask)
    backward = _own_log_probability(ops.transpose(logits), mask)
    return masked_mean(-0.5 * (forward + backward), mask, weights, per_row)


def _activity(values: Tensor) -> Tensor:
    """Return the mean square over the channels of each position, of any row scale."""
    axes = tuple(range(1, len(values.shape)))
    return ops.mean(ops.square(peak_scaled(values, axis=axes)), axis=-1)


def _own_log_probability(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Return the log-probability (B,) of the diagonal among the rows that count."""
    if mask is not None:
        logits = ops.where(mask, logits, ops.full_like(logits, LOWEST))
    return ops.diagonal(ops.log_softmax(logits, axis=-1))
