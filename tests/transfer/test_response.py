"""Terms on what networks answer: distill, match_logits, mutual, pseudo_label."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from coloss import transfer

from .helpers import (
    Array,
    assert_finite,
    assert_masks,
    assert_matches,
    assert_silent,
    gradient,
    log_softmax,
    logits,
    masked_by,
    normal,
    softmax,
    traced,
    value,
)

pytestmark = pytest.mark.backend

SEEDS = st.integers(0, 10_000)
SCALES = st.sampled_from([1e-3, 0.5, 2.0, 20.0])


def kl(learner: Array, source: Array, temperature: float = 1.0) -> Array:
    """T^2 KL(source || learner) for each row, averaged over axes between."""
    p, log_s = softmax(source, temperature), log_softmax(learner, temperature)
    rows = (p * (log_softmax(source, temperature) - log_s)).sum(-1) * temperature**2
    return rows.reshape(len(rows), -1).mean(-1)


def standardized(values: Array) -> Array:
    deviation = values.std(-1, keepdims=True)
    return (values - values.mean(-1, keepdims=True)) / (deviation + 1e-7)


def pseudo(learner: Array, threshold: float) -> float:
    log_p = log_softmax(learner)
    sure = np.exp(log_p.max(-1)) >= threshold
    return float((sure * -log_p.max(-1)).mean())


def distill_standard(learner: Any, source: Any, mask: Any = None) -> Any:
    return transfer.distill(learner, source, standardize=True, mask=mask)


def pseudo_half(learner: Any, mask: Any = None) -> Any:
    return transfer.pseudo_label(learner, 0.5, mask=mask)


# Each term and the number of networks that it is called with here.
TERMS = {
    "distill": (transfer.distill, 2),
    "standardized": (distill_standard, 2),
    "match_logits": (transfer.match_logits, 2),
    "mutual": (transfer.mutual, 3),
    "pseudo_label": (pseudo_half, 1),
}
every_term = pytest.mark.parametrize(("term", "sides"), TERMS.values(), ids=list(TERMS))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_distill(temperature: float) -> None:
    assert_matches(
        lambda s, t: transfer.distill(s, t, temperature),
        lambda s, t: kl(s, t, temperature).mean(),
        *logits(),
    )


def test_distill_standardized() -> None:
    assert_matches(
        lambda s, t: transfer.distill(s, t, 2.0, standardize=True),
        lambda s, t: kl(standardized(s), standardized(t), 2.0).mean(),
        *logits(),
    )


def test_distill_of_sequences_averages_over_positions() -> None:
    pair = [normal(3, 2, 4, seed=1), normal(3, 2, 4, seed=2)]
    assert_matches(transfer.distill, lambda s, t: kl(s, t, 4.0).mean(), *pair)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (3, 2, 4)])
def test_match_logits(shape: tuple[int, ...]) -> None:
    pair = [normal(*shape, seed=1), normal(*shape, seed=2)]
    assert_matches(transfer.match_logits, lambda s, t: np.mean((s - t) ** 2), *pair)


@pytest.mark.parametrize("sources", [1, 3])
def test_mutual(sources: int) -> None:
    assert_matches(
        transfer.mutual,
        lambda s, *others: np.mean([kl(s, other) for other in others]),
        *logits(sides=1 + sources),
    )


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.95])
def test_pseudo_label(threshold: float) -> None:
    assert_matches(
        lambda s: transfer.pseudo_label(s, threshold),
        lambda s: pseudo(s, threshold),
        *logits(rows=8, sides=1, seed=3, scale=3.0),
    )


@given(seed=SEEDS, scale=SCALES)
@settings(max_examples=10)
def test_zero_at_equality_and_shift_of_logits_changes_nothing(
    seed: int, scale: float
) -> None:
    own, other = logits(seed=seed, scale=scale)
    shift = normal(5, 1, seed=seed)
    for term in (transfer.distill, transfer.mutual, distill_standard):
        assert abs(float(value(term, own, own))) < 1e-5
        assert float(value(term, own, other)) > -1e-5
        plain, shifted = (value(term, own, x) for x in (other, other + shift))
        np.testing.assert_allclose(shifted, plain, rtol=1e-3, atol=1e-5)
    assert float(value(transfer.match_logits, own, own)) == 0.0


@given(seed=SEEDS, temperature=st.sampled_from([0.5, 2.0, 4.0, 10.0]))
@settings(max_examples=10)
def test_temperature_scales_as_its_square(seed: int, temperature: float) -> None:
    own, other = logits(seed=seed)
    plain = value(transfer.distill, own, other, 1.0) * temperature**2
    t = np.float32(temperature)
    scaled = value(transfer.distill, own * t, other * t, temperature)
    np.testing.assert_allclose(scaled, plain, rtol=1e-4, atol=1e-5)


@given(seed=SEEDS, scale=st.sampled_from([0.1, 3.0, 100.0]))
@settings(max_examples=10)
def test_standardized_does_not_see_scale_and_shift(seed: int, scale: float) -> None:
    own, other = logits(seed=seed)
    plain = value(distill_standard, own, other)
    moved = value(distill_standard, own * np.float32(scale) + 7, other)
    np.testing.assert_allclose(moved, plain, rtol=1e-3, atol=1e-4)


@every_term
def test_order_of_rows_and_classes_does_not_matter(term: Any, sides: int) -> None:
    arrays = logits(sides=sides)
    rows, classes = [3, 0, 4, 1, 2], [2, 0, 3, 1]
    want = value(term, *arrays)
    for moved in ([x[rows] for x in arrays], [x[:, classes] for x in arrays]):
        np.testing.assert_allclose(value(term, *moved), want, rtol=1e-5)


@every_term
def test_rows_that_do_not_count_have_no_influence(term: Any, sides: int) -> None:
    assert_masks(term, *logits(sides=sides))
    assert_masks(term, *logits(sides=sides), rows=(1,))


@every_term
def test_no_row_counts(term: Any, sides: int) -> None:
    nothing = masked_by(term, np.zeros(5, bool))
    assert_silent(nothing, *logits(sides=sides))
    assert_silent(nothing, *[np.full((5, 4), np.nan, "float32")] * sides)


@every_term
@pytest.mark.parametrize("rows", [1, 2])
def test_small_and_degenerate_batches(term: Any, sides: int, rows: int) -> None:
    arrays = logits(rows=rows, sides=sides)
    assert_finite(term, *arrays)
    assert_finite(term, *[np.repeat(x[:1], 4, axis=0) for x in arrays])
    for constant in (0.0, 1e4 / 3, -7.1):
        assert_finite(term, *[np.full_like(x, constant) for x in arrays])
    for scale in (1e4, -1e4):
        assert_finite(term, *[x * np.float32(scale) for x in arrays])
        assert_finite(term, arrays[0] * np.float32(scale), *arrays[1:])
        assert_finite(term, arrays[0], *[x * np.float32(scale) for x in arrays[1:]])


@every_term
def test_in_a_compiled_step(term: Any, sides: int) -> None:
    arrays = logits(sides=sides)
    np.testing.assert_allclose(traced(term, *arrays), value(term, *arrays), rtol=1e-5)


@every_term
def test_half_precision_is_widened(term: Any, sides: int) -> None:
    halves = [x.astype("float16") for x in logits(sides=sides)]
    found = term(*(ops.convert_to_tensor(x) for x in halves))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    want = value(term, *[x.astype("float32") for x in halves])
    np.testing.assert_allclose(ops.convert_to_numpy(found), want, rtol=1e-6)


@pytest.mark.parametrize(
    ("term", "sides"),
    [
        (transfer.distill, 2),
        (transfer.match_logits, 2),
        (transfer.mutual, 3),
        (transfer.pseudo_label, 1),
    ],
)
def test_rows_and_their_weights(term: Any, sides: int) -> None:
    arrays = logits(sides=sides, scale=5.0)
    rows = partial(term, per_row=True)
    each = value(rows, *arrays)
    assert each.shape == (5,)
    np.testing.assert_allclose(each.mean(), value(term, *arrays), rtol=1e-5)
    mask = np.array([True, False, True, True, False])
    weights = np.array([0.5, np.nan, 2.0, 0.0, np.inf], "float32")
    arrays[0][1] = np.nan
    found = value(lambda *x: term(*x, mask=mask, weights=weights), *arrays)
    want = (0.5 * each[0] + 2.0 * each[2]) / 3
    np.testing.assert_allclose(found, want, rtol=1e-5)
    found = value(lambda *x: rows(*x, mask=mask), *arrays)
    np.testing.assert_allclose(found, np.where(mask, each, 0), rtol=1e-5)


def test_the_source_is_detached_by_the_caller_only() -> None:
    own, other = logits()
    assert gradient(transfer.distill, own, other)[1].any()
    stopped = gradient(
        lambda s, t: transfer.distill(s, ops.stop_gradient(t)), own, other
    )
    assert stopped[0].any()
    assert not stopped[1].any()


def test_pseudo_labels_are_detached() -> None:
    # Through a detached target the gradient of cross-entropy is p - one_hot.
    (own,) = logits(rows=1, sides=1, scale=4.0)
    (found,) = gradient(lambda s: transfer.pseudo_label(s, 0.0), own)
    want = softmax(own) - np.eye(4)[own.argmax(-1)]
    np.testing.assert_allclose(found, want, atol=1e-6)


# Known bugs of other libraries (METHODS.md, section 2).


def test_bug_temperature_squared_dropped() -> None:
    # Without T^2 the gradient at T = 20 would be 100 times weaker than at T = 2.
    own, other = logits(scale=0.5)
    sizes = [
        np.linalg.norm(
            gradient(lambda s, t, T=T: transfer.distill(s, t, T), own, other)[0]
        )
        for T in (2.0, 20.0)
    ]
    assert 0.8 < sizes[1] / sizes[0] < 1.25


@pytest.mark.parametrize("term", [transfer.distill, transfer.mutual])
def test_bug_divergence_averaged_over_classes(term: Any) -> None:
    # Two answers that agree on 100 classes that matter to nobody: the same divergence.
    few = [np.array([[2.0, 0.0]], "float32"), np.array([[0.0, 1.0]], "float32")]
    many = [np.pad(x, ((0, 0), (0, 100)), constant_values=-60.0) for x in few]
    found, want = (
        value(lambda s, t: term(s, t, temperature=1.0), *pair) for pair in (many, few)
    )
    np.testing.assert_allclose(found, want, rtol=1e-5)


def test_bug_divergence_the_wrong_way_round() -> None:
    # KL(source || learner): a learner that misses one of the source's classes pays.
    both = np.array([[0.0, 0.0, -20.0]], "float32")
    one = np.array([[0.0, -20.0, -20.0]], "float32")

    def plain(s: Any, t: Any) -> Any:
        return transfer.distill(s, t, temperature=1.0)

    assert value(plain, one, both) > 9.0
    assert value(plain, both, one) < 0.7


def test_bug_equal_logits_with_an_offset_become_noise() -> None:
    # The mean of equal floats is off by rounding; divided by a tiny deviation that
    # would be an answer.
    for offset in (1e4 / 3, 1e6 / 7):
        flat = np.full((2, 3), offset, "float32")
        other = normal(2, 3)
        assert not gradient(distill_standard, flat, other)[0].any()
        want = value(distill_standard, np.zeros((2, 3), "float32"), other)
        np.testing.assert_array_equal(value(distill_standard, flat, other), want)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s, t: transfer.distill(s, t[:, :3]), "equal classes; learner has 4"),
        (lambda s, t: transfer.distill(s[:, :1], t[:, :1]), "at least 2 classes"),
        (lambda s, t: transfer.distill(s, t[:3]), "same rows on both sides"),
        (lambda s, t: transfer.distill(s, t, 0.0), "temperature above 0; found 0"),
        (lambda s, t: transfer.distill(s, t, float("nan")), "temperature above 0"),
        (lambda s, t: transfer.distill(s[:, 0], t[:, 0]), "of shape .batch, classes."),
        (lambda s, t: transfer.distill(s, t, mask=s > 0), "mask of shape .batch,."),
        (lambda s, t: transfer.match_logits(s, t[:, :3]), "of equal shape"),
        (lambda s, t: transfer.match_logits(s[:, :, None], t), "of equal shape"),
        (lambda s, t: transfer.mutual(s), "at least 1 source"),
        (lambda s, t: transfer.mutual(s, t, t[:, :3]), "equal classes"),
        (lambda s, t: transfer.mutual(s, t, temperature=-1), "temperature above 0"),
        (lambda s, t: transfer.pseudo_label(s, 1.0), "threshold from 0 up to"),
        (lambda s, t: transfer.pseudo_label(s, -0.1), "threshold from 0 up to"),
    ],
)
def test_refusals(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        value(call, *logits())
