"""One answer of several sources: consensus."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

LABELS = np.array([0, 2, -1, 3, -1], "int32")
WAYS = ("mean", "best", "gated")


def term_of(how: str, labels: Any = LABELS, **options: Any) -> Any:
    def term(learner: Any, *sources: Any, mask: Any = None) -> Any:
        return transfer.consensus(
            learner, *sources, how=how, labels=labels, mask=mask, **options
        )

    return term


def weights_of(
    how: str, learner: Array, sources: tuple[Array, ...], here: Array, labels: Array
) -> Array:
    """Return (K, B) weights, written row by row from the definitions."""
    found = np.zeros(here.shape)
    for b, y in enumerate(labels):
        p = [softmax(source[b]) for source in sources]
        score = [one[y] if y >= 0 else one.max() for one in p]
        if how == "gated" and y >= 0:
            own = softmax(learner[b])[y]
            score = [max(0.0, one[y] - own) for one in p]
        score = np.where(here[:, b], score, -1.0)
        if not here[:, b].any():
            continue
        if how == "mean":
            found[:, b] = here[:, b] / here[:, b].sum()
        elif how == "best":
            found[np.argmax(score), b] = 1
        elif score.max() > 0:
            score = np.maximum(score, 0)
            found[:, b] = score / score.sum()
    return found


def reference_of(
    how: str, points: list[Array], here: Array | None = None, temperature: float = 4.0
) -> Any:
    """The formula, with weights taken at the given point: they are detached."""
    if here is None:
        here = np.ones((len(points) - 1, 5), bool)
    doubles = [x.astype("float64") for x in points]
    weights = weights_of(how, doubles[0], tuple(doubles[1:]), here, LABELS)

    def reference(learner: Array, *sources: Array) -> float:
        total = 0.0
        for b in np.flatnonzero(weights.sum(0)):
            mixed = sum(
                w * softmax(source[b], temperature)
                for w, source in zip(weights[:, b], sources, strict=True)
            )
            log_s = log_softmax(learner[b], temperature)
            total += np.sum(mixed * (np.log(mixed) - log_s))
        return temperature**2 * total / here.any(0).sum()

    return reference


@pytest.mark.parametrize("how", WAYS)
def test_against_the_definition(how: str) -> None:
    arrays = logits(sides=4, seed=2)
    assert_matches(term_of(how), reference_of(how, arrays), *arrays)


@pytest.mark.parametrize("how", WAYS)
def test_a_row_uses_the_sources_that_it_has(how: str) -> None:
    arrays = logits(sides=4, seed=2)
    here = np.array([[1, 1, 0, 1, 0], [1, 0, 1, 1, 0], [1, 1, 1, 1, 0]], dtype=bool)
    reference = reference_of(how, arrays, here)
    masks = [here[0], here[1], here[2]]
    assert_matches(term_of(how, source_masks=masks), reference, *arrays)
    dirty = [arrays[0], *(x.copy() for x in arrays[1:])]
    dirty[0][4] = np.nan
    for x, present in zip(dirty[1:], here, strict=True):
        x[~present] = np.nan
    term = term_of(how, source_masks=masks)
    np.testing.assert_allclose(value(term, *dirty), value(term, *arrays), rtol=1e-5)
    for got, want in zip(gradient(term, *dirty), gradient(term, *arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_of_one_source_is_distill(seed: int) -> None:
    own, other = logits(seed=seed)
    want = value(transfer.distill, own, other)
    for term in (transfer.consensus, term_of("best")):
        np.testing.assert_allclose(value(term, own, other), want, rtol=1e-4, atol=1e-5)
    twice = value(transfer.consensus, own, other, other)
    np.testing.assert_allclose(twice, want, rtol=1e-4, atol=1e-5)


@given(seed=st.integers(0, 10_000), how=st.sampled_from(WAYS))
@settings(max_examples=15)
def test_properties(seed: int, how: str) -> None:
    own, *others = logits(sides=4, seed=seed)
    plain = value(term_of(how), own, *others)
    assert plain > -1e-5
    # The order of sources and of rows; the shift of any network's logits.
    moved = value(term_of(how), own, *others[::-1])
    np.testing.assert_allclose(moved, plain, rtol=1e-4, atol=1e-5)
    rows = [3, 0, 4, 1, 2]
    moved = value(term_of(how, LABELS[rows]), own[rows], *[x[rows] for x in others])
    np.testing.assert_allclose(moved, plain, rtol=1e-4, atol=1e-5)
    moved = value(term_of(how), own + normal(5, 1), *[x + 3 for x in others])
    np.testing.assert_allclose(moved, plain, rtol=1e-3, atol=1e-5)
    assert abs(float(value(term_of(how), own, own, own))) < 1e-5


def test_best_follows_the_true_class_where_it_is_known() -> None:
    right, sure = np.zeros((1, 4), "float32"), np.zeros((1, 4), "float32")
    right[0, 0], sure[0, 1] = 1.0, 9.0
    own = normal(1, 4)
    for labels, followed in (([0], right), ([1], sure), ([-1], sure), (None, sure)):
        labels = None if labels is None else np.array(labels)
        found = value(term_of("best", labels), own, right, sure)
        want = value(transfer.distill, own, followed)
        np.testing.assert_allclose(found, want, rtol=1e-5)


def test_gated_is_silent_where_no_source_is_better() -> None:
    own, weak = logits()
    labels = own.argmax(-1)
    weak[:, :] = 0.0
    weak[1, labels[1]] = 30.0
    term = term_of("gated", labels)
    # The other rows add 0 and still count: a fifth of the second row's distillation.
    each = value(partial(transfer.distill, per_row=True), own, weak)
    np.testing.assert_allclose(value(term, own, weak, weak), each[1] / 5, rtol=1e-5)
    found = gradient(term, own, weak)[0]
    assert found[1].any()
    assert not found[[0, 2, 3, 4]].any()


def test_gates_and_choices_send_no_gradient() -> None:
    # Only the chosen source gets a gradient, and none through the choice.
    arrays = logits(sides=3, rows=1)
    labels = np.array([1])
    chosen = int(np.argmax([softmax(x)[0, 1] for x in arrays[1:]]))
    found = gradient(term_of("best", labels), *arrays)
    want = gradient(transfer.distill, arrays[0], arrays[1 + chosen])
    np.testing.assert_allclose(found[0], want[0], atol=1e-6)
    np.testing.assert_allclose(found[1 + chosen], want[1], atol=1e-6)
    assert not found[2 - chosen].any()


@pytest.mark.parametrize("how", WAYS)
def test_rows_that_do_not_count_have_no_influence(how: str) -> None:
    def term(*tensors: Any, mask: Any = None) -> Any:
        labels = LABELS if mask is not None else LABELS[[0, 2, 3]]
        return transfer.consensus(*tensors, how=how, labels=labels, mask=mask)

    assert_masks(term, *logits(sides=3))
    assert_silent(masked_by(term, np.zeros(5, bool)), *logits(sides=3))


@pytest.mark.parametrize("how", WAYS)
def test_rows_and_weights(how: str) -> None:
    arrays = logits(sides=3)
    rows = value(term_of(how, per_row=True), *arrays)
    assert rows.shape == (5,)
    np.testing.assert_allclose(rows.mean(), value(term_of(how), *arrays), rtol=1e-5)
    weights = np.array([0.0, 1, 2, 0.5, 1], "float32")
    found = value(term_of(how, weights=weights), *arrays)
    np.testing.assert_allclose(found, (rows * weights).mean(), rtol=1e-5)


@pytest.mark.parametrize("how", WAYS)
def test_in_a_compiled_step(how: str) -> None:
    arrays = logits(sides=3)
    term = term_of(how, source_masks=[np.arange(5) > 1, None])
    np.testing.assert_allclose(traced(term, *arrays), value(term, *arrays), rtol=1e-5)


@pytest.mark.parametrize("how", WAYS)
def test_small_and_degenerate_batches(how: str) -> None:
    for rows in (1, 2):
        arrays = logits(rows=rows, sides=3)
        term = term_of(how, LABELS[:rows])
        assert_finite(term, *[x * np.float32(1e4) for x in arrays])
        assert_finite(term, arrays[0], arrays[1] * 1e4, arrays[2] * -1e4)
        assert_finite(term, *[np.full_like(x, 1e4 / 3) for x in arrays])


def test_mean_of_sequences() -> None:
    own, first, second = normal(3, 2, 2, 4)
    positions = [
        value(transfer.consensus, own[:, i], first[:, i], second[:, i])
        for i in range(2)
    ]
    found = value(transfer.consensus, own, first, second)
    np.testing.assert_allclose(found, np.mean(positions), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s, t: transfer.consensus(s), "at least 1 source"),
        (lambda s, t: transfer.consensus(s, t, how="worst"), "found 'worst'"),
        (lambda s, t: transfer.consensus(s, t, t[:, :3]), "equal classes"),
        (lambda s, t: transfer.consensus(s, t, temperature=0), "above 0"),
        (lambda s, t: transfer.consensus(s, t, source_masks=[None] * 2), "for 1 sourc"),
        (
            lambda s, t: transfer.consensus(s, t, source_masks=[s > 0]),
            "a mask of shape",
        ),
        (
            lambda s, t: transfer.consensus(s, t, how="best", labels=LABELS[:2]),
            "labels of shape",
        ),
    ],
)
def test_refusals(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        value(call, *logits())
