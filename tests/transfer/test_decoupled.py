"""Distillation taken apart: dkd and dist."""

from __future__ import annotations

from functools import partial
from typing import Any

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
    logits,
    masked_by,
    normal,
    softmax,
    traced,
    value,
)

pytestmark = pytest.mark.backend

LABELS = np.array([0, 2, 1, 3, 2], "int32")


def dkd_of(labels: Any, **options: Any) -> Any:
    """The term with its labels given; of as many rows as there are logits."""

    def term(learner: Any, source: Any, mask: Any = None) -> Any:
        return transfer.dkd(learner, source, labels, mask=mask, **options)

    return term


def dkd_reference(
    labels: Array, alpha: float = 1.0, beta: float = 1.0, temperature: float = 4.0
) -> Any:
    """The paper's formula, row by row, on probabilities."""

    def reference(learner: Array, source: Array) -> float:
        total = 0.0
        for z_s, z_t, y in zip(learner, source, labels, strict=True):
            p_s, p_t = softmax(z_s, temperature), softmax(z_t, temperature)
            rest = [c for c in range(len(p_s)) if c != y]
            b_s, b_t = ([p[y], p[rest].sum()] for p in (p_s, p_t))
            q_s, q_t = (p[rest] / p[rest].sum() for p in (p_s, p_t))
            total += alpha * np.sum(b_t * np.log(np.divide(b_t, b_s)))
            total += beta * np.sum(q_t * np.log(q_t / q_s))
        return temperature**2 * total / len(labels)

    return reference


def dist_reference(
    beta: float = 1.0, gamma: float = 1.0, temperature: float = 1.0
) -> Any:
    def reference(learner: Array, source: Array) -> float:
        p_s, p_t = softmax(learner, temperature), softmax(source, temperature)

        def mean(pairs: Any) -> float:
            return np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])

        rows = mean(zip(p_s, p_t, strict=True))
        columns = mean(zip(p_s.T, p_t.T, strict=True))
        return beta * (1 - rows) + gamma * (1 - columns)

    return reference


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.5, "beta": 8.0, "temperature": 2.0},
        {"alpha": 0.0},
        {"beta": 0.0},
    ],
    ids=str,
)
def test_dkd(options: dict[str, float]) -> None:
    assert_matches(
        dkd_of(LABELS, **options), dkd_reference(LABELS, **options), *logits()
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta": 2.0, "gamma": 0.5, "temperature": 3.0},
        {"beta": 0.0},
        {"gamma": 0.0},
    ],
    ids=str,
)
def test_dist(options: dict[str, float]) -> None:
    assert_matches(
        lambda s, t: transfer.dist(s, t, **options),
        dist_reference(**options),
        *logits(),
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_dkd_with_the_sources_own_weights_is_distill(seed: int) -> None:
    own, other = logits(seed=seed)
    tensors = [ops.convert_to_tensor(x) for x in (own, other)]
    target = transfer.dkd(*tensors, LABELS, 1.0, 0.0, per_row=True)
    rest = transfer.dkd(*tensors, LABELS, 0.0, 1.0, per_row=True)
    target, rest = ops.convert_to_numpy(target), ops.convert_to_numpy(rest)
    others = 1 - softmax(other, 4.0)[np.arange(5), LABELS]
    want = value(partial(transfer.distill, per_row=True), own, other)
    np.testing.assert_allclose(target + others * rest, want, rtol=1e-3, atol=1e-5)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_zero_at_equality_and_shift_of_logits_changes_nothing(seed: int) -> None:
    own, other = logits(seed=seed)
    shift = normal(5, 1, seed=seed)
    for term in (dkd_of(LABELS), transfer.dist):
        assert abs(float(value(term, own, own))) < 1e-5
        plain = value(term, own, other)
        assert plain > -1e-5
        np.testing.assert_allclose(
            value(term, own + shift, other), plain, rtol=1e-3, atol=1e-5
        )


def test_dist_is_not_moved_by_an_affine_change_of_probabilities() -> None:
    # Mixing in the uniform answer shifts and scales the rows alike, and no correlation
    # changes: the source may be surer of the same ranking without pulling.
    own = logits(sides=1)[0]
    mixed = np.log(0.5 * softmax(own) + 0.5 / 4).astype("float32")
    assert abs(float(value(transfer.dist, own, mixed))) < 1e-5
    assert value(transfer.distill, own, mixed) > 0.1


def test_dist_keeps_its_size_when_the_temperature_grows() -> None:
    own, other = logits(scale=0.1)
    warm, hot = (
        value(lambda s, t, T=T: transfer.dist(s, t, temperature=T), own, other)
        for T in (1.0, 20.0)
    )
    np.testing.assert_allclose(hot, warm, rtol=0.1)


@pytest.mark.parametrize("term", [dkd_of(LABELS), transfer.dist], ids=["dkd", "dist"])
def test_in_a_compiled_step(term: Any) -> None:
    arrays = logits()
    np.testing.assert_allclose(traced(term, *arrays), value(term, *arrays), rtol=1e-5)


def test_order_of_rows_and_classes_does_not_matter() -> None:
    own, other = logits()
    rows, classes = [3, 0, 4, 1, 2], np.array([2, 0, 3, 1])
    moved = np.argsort(classes)[LABELS]
    for term, by_rows, by_classes in (
        (dkd_of(LABELS), dkd_of(LABELS[rows]), dkd_of(moved)),
        (transfer.dist,) * 3,
    ):
        want = value(term, own, other)
        np.testing.assert_allclose(
            value(by_rows, own[rows], other[rows]), want, rtol=1e-5
        )
        np.testing.assert_allclose(
            value(by_classes, own[:, classes], other[:, classes]), want, rtol=1e-5
        )


def test_rows_that_do_not_count_have_no_influence() -> None:
    assert_masks(transfer.dist, *logits())

    def term(learner: Any, source: Any, mask: Any = None) -> Any:
        labels = LABELS if mask is not None else LABELS[[0, 2, 3]]
        return transfer.dkd(learner, source, labels, mask=mask)

    assert_masks(term, *logits())


def test_dkd_counts_labeled_rows_only() -> None:
    own, other = logits()
    few = np.array([0, -1, 1, -1, 2])
    want = value(dkd_of(LABELS[[0, 2, 4]]), own[[0, 2, 4]], other[[0, 2, 4]])
    nan = np.where(few < 0, np.nan, few).astype("float32")
    dense = np.where(few[:, None] < 0, np.nan, np.eye(4)[few]).astype("float32")
    own[1], other[3] = np.nan, np.inf
    for labels in (few, nan, few[:, None], dense, np.where(few < 0, 4, few)):
        np.testing.assert_allclose(value(dkd_of(labels), own, other), want, rtol=1e-5)
        for one in gradient(dkd_of(labels), own, other):
            assert np.isfinite(one).all()
            assert not one[[1, 3]].any()
    assert_silent(dkd_of(np.full(5, -1)), own, other)


def test_too_few_rows() -> None:
    arrays = logits()
    assert_silent(masked_by(dkd_of(LABELS), np.zeros(5, bool)), *arrays)
    for rows in (0, 1):
        assert_silent(masked_by(transfer.dist, np.arange(5) < rows), *arrays)
    assert_silent(transfer.dist, *[x[:1] for x in arrays])
    assert value(masked_by(transfer.dist, np.arange(5) < 2), *arrays) > 0


def test_small_and_degenerate_batches() -> None:
    for rows in (1, 2):
        arrays = logits(rows=rows)
        for scale in (1.0, 1e4, -1e4):
            big = [x * np.float32(scale) for x in arrays]
            for pair in (big, [big[0], arrays[1]], [arrays[0], big[1]]):
                assert_finite(dkd_of(LABELS[:rows]), *pair)
                assert_finite(transfer.dist, *pair)
    twins = [np.repeat(x[:1], 5, axis=0) for x in logits()]
    for arrays in (twins, [np.full((5, 4), 1e4 / 3, "float32")] * 2):
        assert_finite(dkd_of(LABELS), *arrays)
        assert_finite(transfer.dist, *arrays)


def test_dkd_of_confident_logits_is_exact() -> None:
    # p_y is 1 in float32, and what is left for the rest is not.
    own = np.array([[60.0, 1.0, 0.0, -1.0]] * 2, "float32")
    other = np.array([[70.0, -1.0, 0.0, 1.0]] * 2, "float32")
    labels = np.array([0, 0])
    assert_matches(
        dkd_of(labels, temperature=1.0),
        lambda s, t: dkd_reference(labels, alpha=0.0, temperature=1.0)(s, t),
        own,
        other,
    )


def test_a_constant_column_is_uncorrelated_and_gets_no_gradient() -> None:
    own, other = logits()
    same = np.repeat(other[:1], 5, axis=0)
    columns = value(lambda s, t: transfer.dist(s, t, beta=0.0), own, same)
    np.testing.assert_allclose(columns, 1.0, rtol=1e-6)
    found = gradient(lambda s, t: transfer.dist(s, t, beta=0.0), own, same)
    assert not found[0].any()


# Known bugs of other libraries (METHODS.md, section 2).


def test_a_rare_class_is_correlated_like_any_other() -> None:
    """Its probabilities are small numbers, and no rounding."""
    own, other = logits()
    own[:, 0] -= 14
    other[:, 0] -= 14
    options = {"beta": 0.0, "gamma": 1.0, "temperature": 1.0}
    found = value(lambda s, t: transfer.dist(s, t, **options), own, other)
    np.testing.assert_allclose(found, dist_reference(**options)(own, other), rtol=1e-4)


def test_bug_correlation_added_with_the_wrong_sign() -> None:
    own, other = logits(seed=5)
    before = value(transfer.dist, own, other)
    for _ in range(20):
        own = own - 2 * gradient(transfer.dist, own, other)[0].astype("float32")
    assert value(transfer.dist, own, other) < 0.8 * before
    opposite = value(
        transfer.dist,
        *[
            np.array([[3.0, 0], [0, 3.0]], "float32"),
            np.array([[0, 3.0], [3.0, 0]], "float32"),
        ],
    )
    np.testing.assert_allclose(opposite, 4.0, rtol=1e-5)


def test_bug_dkd_infinite_on_two_classes() -> None:
    with pytest.raises(ValueError, match="at least 3 classes; learner has 2"):
        value(dkd_of(LABELS % 2), *logits(classes=2))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s, t: transfer.dkd(s, t, LABELS[:3]), "labels of shape .5,."),
        (lambda s, t: transfer.dkd(s, t, np.zeros((5, 3))), "labels of shape"),
        (lambda s, t: transfer.dkd(s, t, LABELS, alpha=-1.0), "alpha of 0 or more"),
        (lambda s, t: transfer.dkd(s, t, LABELS, temperature=0), "above 0"),
        (lambda s, t: transfer.dkd(s[:, None], t[:, None], LABELS), "labels of shape"),
        (lambda s, t: transfer.dist(s, t[:, :3]), "equal classes"),
        (lambda s, t: transfer.dist(s, t, gamma=-0.1), "gamma of 0 or more"),
        (lambda s, t: transfer.dist(s, t, temperature=0), "above 0"),
    ],
)
def test_refusals(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        value(call, *logits())
