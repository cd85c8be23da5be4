"""Terms on how rows relate, against NumPy and against what their papers claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coloss.transfer import relation
from tests.transfer.compiling import compiled
from tests.transfer.helpers import (
    assert_finite,
    assert_masks,
    assert_matches,
    assert_silent,
    features,
    gradient,
    masked_by,
    normal,
    rotation,
    traced,
    value,
)

pytestmark = pytest.mark.backend

TERMS = cka, sp, pkt = [compiled(f) for f in (relation.cka, relation.sp, relation.pkt)]
seeds = st.integers(0, 10**6)
scales = st.floats(1e-3, 1e3)
few = settings(max_examples=10)
each_term = pytest.mark.parametrize("term", TERMS, ids=["cka", "sp", "pkt"])


def rows_of(array):
    return np.asarray(array, "float64").reshape(len(array), -1)


def numpy_cka(learner, source):
    """By centered Gram matrices: HSIC, where ours may use products of features."""
    size = len(learner)
    center = np.eye(size) - 1 / size
    own, other = (center @ (x @ x.T) @ center for x in map(rows_of, (learner, source)))
    return 1 - np.trace(own @ other) / np.sqrt(
        np.trace(own @ own) * np.trace(other @ other)
    )


def numpy_sp(learner, source):
    total = 0.0
    own, other = rows_of(learner), rows_of(source)
    for i in range(len(own)):
        a, b = own @ own[i], other @ other[i]
        total += np.sum((a / np.sqrt(a @ a) - b / np.sqrt(b @ b)) ** 2)
    return total / len(own)


def numpy_pkt(learner, source):
    size = len(learner)
    shares = []
    for x in map(rows_of, (learner, source)):
        kernel = np.empty((size, size))
        for i in range(size):
            for j in range(size):
                norms = np.linalg.norm(x[i]) * np.linalg.norm(x[j])
                kernel[i, j] = (x[i] @ x[j] / norms + 1) / 2
        shares.append(kernel / kernel.sum(1, keepdims=True))
    own, other = shares
    return np.mean(other * np.log((other + 1e-7) / (own + 1e-7)))


REFERENCES = {cka: numpy_cka, sp: numpy_sp, pkt: numpy_pkt}


@each_term
@pytest.mark.parametrize("seed", [0, 1])
def test_value_and_gradient_are_those_of_numpy(term, seed):
    assert_matches(term, REFERENCES[term], *features(seed=seed))


@each_term
def test_layers_of_any_shape_are_flattened(term):
    own, other = features()
    found = value(term, own.reshape(6, 2, 2), other.reshape(6, 3, 1, 1))
    np.testing.assert_allclose(found, value(term, own, other), rtol=1e-6)


def test_cka_has_one_value_by_rows_and_by_features():
    # Above, 6 rows of 4 and 3 features: products of features. Here of rows.
    assert_matches(cka, numpy_cka, *features(6, (9, 8)))


@each_term
def test_a_compiled_step_gives_the_same(term):
    pair = features()
    np.testing.assert_allclose(traced(term, *pair), value(term, *pair), atol=1e-6)


@each_term
def test_equal_sides_give_0_and_no_gradient(term):
    layer = normal(6, 4)
    assert value(term, layer, layer) == pytest.approx(0, abs=2e-6)
    np.testing.assert_allclose(gradient(term, layer, layer)[0], 0, atol=2e-6)


@each_term
@given(seed=seeds, factor=scales)
@few
def test_rotation_and_scale_of_a_side_change_nothing(term, seed, factor):
    own, other = features(6, seed=seed)
    moved = factor * own @ rotation(4, seed)
    np.testing.assert_allclose(
        value(term, moved, other), value(term, own, other), atol=1e-5
    )
    np.testing.assert_allclose(
        value(term, other, moved), value(term, other, own), atol=1e-5
    )


@each_term
@given(seed=seeds)
@few
def test_the_order_of_the_rows_has_no_say(term, seed):
    own, other = features(6, seed=seed)
    order = np.random.default_rng(seed).permutation(6)
    np.testing.assert_allclose(
        value(term, own[order], other[order]), value(term, own, other), atol=1e-5
    )


@given(seed=seeds, offset=st.floats(-100, 100))
@few
def test_cka_ignores_a_shift_of_the_columns_and_stays_in_0_to_1(seed, offset):
    own, other = features(6, seed=seed)
    want = value(cka, own, other)
    shift = np.float32(offset) * normal(1, own.shape[1], seed=seed)
    np.testing.assert_allclose(value(cka, own + shift, other), want, atol=1e-3)
    assert -1e-5 <= want <= 1 + 1e-5


def test_cka_is_not_the_same_for_any_invertible_map():
    # Kornblith et al. 2019, section 2: such a measure could not compare wide layers.
    own = normal(6, 3)
    assert value(cka, own * np.float32([1, 10, 100]), own) > 0.1


@given(seed=seeds, factors=st.lists(scales, min_size=6, max_size=6))
@few
def test_pkt_ignores_the_scale_of_each_row(seed, factors):
    own, other = features(6, seed=seed)
    scaled = own * np.float32(factors)[:, None]
    np.testing.assert_allclose(
        value(pkt, scaled, other), value(pkt, own, other), atol=1e-5
    )


@each_term
def test_masked_rows_have_no_influence(term):
    assert_masks(term, *features())


@each_term
@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_2_rows_that_count_give_exactly_0(term, rows):
    own, other = features()
    own[rows:] = np.nan
    assert_silent(masked_by(term, np.arange(6) < rows), own, other)


@each_term
def test_small_last_batch(term):
    assert_silent(term, *features(1))
    assert_matches(term, REFERENCES[term], *features(2))


@each_term
@pytest.mark.parametrize("spoil", ["twins", "constant", "zeros", "zero row", "column"])
@pytest.mark.parametrize("side", [0, 1])
def test_degenerate_layers_give_no_nan(term, spoil, side):
    pair = features()
    layer = pair[side]
    if spoil == "twins":
        layer[1] = layer[2] = layer[0]
    elif spoil == "constant":
        layer[:] = 0.1
    elif spoil == "column":
        layer[:, 0] = 7
    else:
        layer[: 6 if spoil == "zeros" else 1] = 0
    assert_finite(term, *pair)


@each_term
@pytest.mark.parametrize("factor", [1e-8, 1e15, 1e37])
def test_tiny_and_huge_values_change_nothing(term, factor):
    own, other = features()
    own, other = own.clip(-3, 3), other.clip(-3, 3)
    scaled = own * np.float32(factor)
    np.testing.assert_allclose(
        value(term, scaled, other), value(term, own, other), atol=1e-5
    )
    assert_finite(term, scaled, other)


def test_cka_of_a_constant_side_is_1_without_a_gradient():
    own, other = normal(6, 4), np.full((6, 3), 0.1, "float32")
    assert value(cka, own, other) == 1
    assert not gradient(cka, own, other)[0].any()


def test_cka_does_not_compare_the_rounding_of_a_constant_layer():
    own, other = features()
    own[:] = 1
    own[::2] += np.float32(1.2e-7)  # one unit in the last place
    assert value(cka, own, other) == 1
    assert not gradient(cka, own, other)[0].any()


def test_a_large_constant_column_hides_no_other_from_cka():
    own, other = features()
    own[:, 0] = 0
    want = value(cka, own, other)
    own[:, 0] = 1e8
    np.testing.assert_allclose(value(cka, own, other), want, atol=1e-6)


def test_known_bug_sp_is_normalized_by_l2_not_l1():
    own, other = features()
    wrong = []
    for x in (own, other):
        gram = np.asarray(x @ x.T, "float64")
        wrong.append(gram / np.abs(gram).sum(1, keepdims=True))
    found = value(sp, own, other)
    assert abs(found - np.sum((wrong[0] - wrong[1]) ** 2) / 6) > 0.1
    assert found == pytest.approx(numpy_sp(own, other), rel=1e-5)


def test_sp_does_not_shrink_as_batches_grow():
    own, other = features()
    one = value(sp, own, other)
    twice = value(sp, np.concatenate([own, own]), np.concatenate([other, other]))
    np.testing.assert_allclose(twice, one, rtol=1e-5)


def test_pkt_of_opposite_rows_is_finite():
    own, other = features()
    own[1::2] = -own[::2]
    assert_finite(pkt, own, other)
    other[1::2] = -other[::2]
    assert_finite(pkt, own, other)


@each_term
def test_half_precision_is_computed_in_float32(term):
    own, other = (x.astype("float16") for x in features())
    found = value(term, own, other)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, REFERENCES[term](own, other), rtol=1e-4, atol=1e-5
    )


@each_term
def test_the_source_is_not_detached_inside(term):
    assert gradient(term, *features())[1].any()


@each_term
def test_unequal_rows_are_refused(term):
    with pytest.raises(ValueError, match="learner has 4, source has 5"):
        term(normal(4, 2), normal(5, 2))


@each_term
def test_a_mask_of_another_shape_is_refused(term):
    with pytest.raises(ValueError, match=r"\(4,\); found \(4, 1\)"):
        term(normal(4, 2), normal(4, 2), mask=np.ones((4, 1), bool))
