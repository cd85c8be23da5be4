"""Terms on layer outputs, against NumPy and against what their papers claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coloss.transfer import feature
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

VARIANCE = np.float32([-1, 0, 0.5, 3])
ROWS = 6


@compiled
def vid(mu, source, mask=None):
    return feature.vid(mu, source, VARIANCE, mask)


vid_trained = compiled(feature.vid)
hint, attention = compiled(feature.hint), compiled(feature.attention)
contrast = compiled(feature.contrast)
NAMES = ["hint", "vid", "attention", "contrast"]
TERMS = dict(zip(NAMES, [hint, vid, attention, contrast], strict=True))
few = settings(max_examples=10)
seeds = st.integers(0, 10**6)
factors = st.lists(st.floats(1e-3, 1e3), min_size=ROWS, max_size=ROWS)
each_term = pytest.mark.parametrize("name", NAMES)


def layers(name, rows=ROWS, seed=0):
    """Return a learner's and a source's layer output that a term can take."""
    if name == "attention":
        return [normal(rows, 3, width, seed=seed + width) for width in (2, 4)]
    return features(rows, (4, 4), seed)


def direction(vector):
    return vector / np.sqrt(np.sum(vector**2))


def numpy_hint(learner, source):
    pairs = zip(learner, source, strict=True)
    return np.mean(
        [np.mean((direction(a.ravel()) - direction(b.ravel())) ** 2) for a, b in pairs]
    )


def numpy_vid(mu, source, raw=VARIANCE):
    variance = np.log1p(np.exp(np.asarray(raw, "float64"))) + 1e-5
    # The negative log-likelihood of a normal distribution, without its constant.
    return np.mean((mu - source) ** 2 / variance + np.log(variance)) / 2


def numpy_attention(learner, source):
    total = []
    for a, b in zip(learner, source, strict=True):
        maps = [np.mean(x**2, axis=-1).ravel() for x in (a, b)]
        total.append(np.mean((direction(maps[0]) - direction(maps[1])) ** 2))
    return np.mean(total)


def numpy_contrast(learner, source, temperature=0.07):
    total, size = 0.0, len(learner)
    own, other = ([direction(row) for row in x] for x in (learner, source))
    for i in range(size):
        for first, second in ((own, other), (other, own)):
            scores = [first[i] @ second[j] / temperature for j in range(size)]
            top = max(scores)
            total += top + np.log(np.sum(np.exp(np.array(scores) - top))) - scores[i]
    return total / (2 * size)


REFERENCES = dict(
    zip(
        NAMES,
        [numpy_hint, numpy_vid, numpy_attention, numpy_contrast],
        strict=True,
    )
)


@each_term
@pytest.mark.parametrize("seed", [0, 1])
def test_value_and_gradient_are_those_of_numpy(name, seed):
    assert_matches(TERMS[name], REFERENCES[name], *layers(name, seed=seed))


def test_maps_of_features_are_those_of_numpy():
    own, other = normal(3, 2, 2, 4), normal(3, 2, 2, 4, seed=1)
    for name in ("hint", "vid", "attention"):
        want = REFERENCES[name](own.astype("float64"), other.astype("float64"))
        np.testing.assert_allclose(value(TERMS[name], own, other), want, rtol=2e-5)


@each_term
def test_rows_have_the_term_as_their_mean(name):
    own, other = layers(name)
    term, extra = getattr(feature, name), (VARIANCE,) if name == "vid" else ()
    rows = value(lambda a, b: term(a, b, *extra, per_row=True), own, other)
    assert rows.shape == (ROWS,)
    np.testing.assert_allclose(rows.mean(), value(TERMS[name], own, other), rtol=1e-5)


@each_term
def test_weights_multiply_rows_and_leave_their_number(name):
    own, other = layers(name)
    weights = np.float32([0, 0, 0, 0, 0, 3])
    term, extra = getattr(feature, name), (VARIANCE,) if name == "vid" else ()
    rows = term(own, other, *extra, per_row=True)
    found = value(lambda a, b: term(a, b, *extra, weights=weights), own, other)
    np.testing.assert_allclose(found, float(rows[5]) / 2, rtol=1e-5)


@each_term
def test_a_compiled_step_gives_the_same(name):
    term, pair = TERMS[name], layers(name)
    np.testing.assert_allclose(
        traced(term, *pair), value(term, *pair), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["hint", "attention"])
def test_equal_sides_give_0_and_no_gradient(name):
    layer = layers(name)[0]
    assert value(TERMS[name], layer, layer) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(gradient(TERMS[name], layer, layer)[0], 0, atol=1e-7)


@each_term
def test_masked_rows_have_no_influence(name):
    assert_masks(TERMS[name], *layers(name))


@each_term
@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_that_count_give_exactly_0(name, rows):
    own, other = layers(name)
    own[rows:] = np.nan
    term = masked_by(TERMS[name], np.arange(ROWS) < rows)
    if rows == 0 or name == "contrast":
        assert_silent(term, own, other)
    else:
        want = value(TERMS[name], own[:1], other[:1])
        np.testing.assert_allclose(value(term, own, other), want, rtol=1e-5)


@each_term
def test_small_last_batch(name):
    if name == "contrast":
        assert_silent(contrast, *layers(name, 1))
    else:
        assert_matches(TERMS[name], REFERENCES[name], *layers(name, 1))
    assert_matches(TERMS[name], REFERENCES[name], *layers(name, 2))


@each_term
@pytest.mark.parametrize("spoil", ["twins", "constant", "zeros", "zero row"])
@pytest.mark.parametrize("side", [0, 1])
def test_degenerate_layers_give_no_nan(name, spoil, side):
    pair = layers(name)
    layer = pair[side]
    if spoil == "twins":
        layer[1] = layer[2] = layer[0]
    elif spoil == "constant":
        layer[:] = 0.1
    else:
        layer[: ROWS if spoil == "zeros" else 1] = 0
    assert_finite(TERMS[name], *pair)


@pytest.mark.parametrize("name", ["hint", "attention", "contrast"])
@pytest.mark.parametrize("factor", [1e-8, 1e15, 1e37])
def test_tiny_and_huge_values_change_nothing(name, factor):
    own, other = (layer.clip(-3, 3) for layer in layers(name))
    scaled = own * np.float32(factor)
    want = value(TERMS[name], own, other)
    np.testing.assert_allclose(value(TERMS[name], scaled, other), want, rtol=1e-4)
    assert_finite(TERMS[name], scaled, other)


def test_huge_values_give_no_nan_in_vid():
    own, other = layers("vid")
    assert_finite(vid, own * np.float32(1e15), other)


@pytest.mark.parametrize("name", ["hint", "attention", "contrast"])
@given(seed=seeds, factors=factors)
@few
def test_the_scale_of_each_row_has_no_say(name, seed, factors):
    own, other = layers(name, seed=seed)
    shape = (ROWS,) + (1,) * (own.ndim - 1)
    scaled = own * np.float32(factors).reshape(shape)
    np.testing.assert_allclose(
        value(TERMS[name], scaled, other),
        value(TERMS[name], own, other),
        rtol=1e-4,
        atol=1e-5,
    )


@each_term
@given(seed=seeds)
@few
def test_the_order_of_the_rows_has_no_say(name, seed):
    own, other = layers(name, seed=seed)
    order = np.random.default_rng(seed).permutation(ROWS)
    np.testing.assert_allclose(
        value(TERMS[name], own[order], other[order]),
        value(TERMS[name], own, other),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", ["hint", "contrast"])
@given(seed=seeds)
@few
def test_one_rotation_of_both_sides_has_no_say(name, seed):
    own, other = layers(name, seed=seed)
    turn = rotation(4, seed)
    np.testing.assert_allclose(
        value(TERMS[name], own @ turn, other @ turn),
        value(TERMS[name], own, other),
        rtol=1e-4,
        atol=1e-5,
    )


@given(seed=seeds)
@few
def test_attention_ignores_the_order_of_channels(seed):
    own, other = layers("attention", seed=seed)
    order = np.random.default_rng(seed).permutation(other.shape[-1])
    np.testing.assert_allclose(
        value(attention, own, other[..., order]),
        value(attention, own, other),
        atol=1e-6,
    )


def test_attention_ignores_the_sign_and_sees_the_place():
    layer = layers("attention")[0]
    assert value(attention, layer, -layer) == pytest.approx(0, abs=1e-12)
    assert value(attention, layer, layer[:, ::-1]) > 1e-3


def test_padding_set_to_0_is_active_nowhere_in_attention():
    own, other = layers("attention")
    own[:, 2] = other[:, 2] = 0
    want = numpy_attention(own[:, :2], other[:, :2]) * 2 / 3
    np.testing.assert_allclose(value(attention, own, other), want, rtol=1e-5)


def test_hint_is_the_cosine_up_to_its_width():
    own, other = layers("hint")
    cosines = [direction(a) @ direction(b) for a, b in zip(own, other, strict=True)]
    want = 2 * (1 - np.mean(cosines)) / 4
    np.testing.assert_allclose(value(hint, own, other), want, rtol=1e-5)


def test_known_bug_variance_of_vid_is_trained():
    own, other = layers("vid")
    assert_matches(vid_trained, numpy_vid, own, other, VARIANCE)
    assert gradient(vid_trained, own, other, VARIANCE)[2].all()


def test_variance_of_vid_settles_at_the_squared_error():
    # softplus(2) + 1e-5 where the error is its root: the gradient by `raw` is 0.
    variance = np.log1p(np.exp(2.0)) + 1e-5
    source = np.zeros((5, 2), "float32")
    mu = np.full((5, 2), np.sqrt(variance), "float32")
    by_raw = gradient(vid_trained, mu, source, np.float32([2, 2]))[2]
    np.testing.assert_allclose(by_raw, 0, atol=1e-6)


def test_one_variance_for_all_channels_of_vid():
    own, other = layers("vid")
    one, each = np.float32(0.3), np.full(4, 0.3, "float32")
    want = value(vid_trained, own, other, each)
    np.testing.assert_allclose(value(vid_trained, own, other, one), want, rtol=1e-6)


def test_extreme_variances_of_vid_stay_finite():
    own, other = layers("vid")
    assert_finite(vid_trained, own, other, np.float32([-1e4, -90, 90, 1e4]))


def test_rows_that_do_not_count_leave_the_variance_of_vid_alone():
    own, other = layers("vid")
    own[:] = np.nan
    assert_silent(masked_by(vid_trained, np.zeros(ROWS, bool)), own, other, VARIANCE)


def test_contrast_is_least_for_its_own_row():
    own = np.eye(4, dtype="float32")
    assert value(contrast, own, own) == pytest.approx(0, abs=1e-5)
    assert value(contrast, own, own[::-1]) > 10
    same = np.ones((4, 3), "float32")
    assert value(contrast, same, same) == pytest.approx(np.log(4), rel=1e-5)


def test_contrast_at_another_temperature():
    own, other = layers("contrast")
    found = value(lambda *pair: feature.contrast(*pair, temperature=0.5), own, other)
    np.testing.assert_allclose(found, numpy_contrast(own, other, 0.5), rtol=2e-5)


@each_term
def test_half_precision_is_computed_in_float32(name):
    own, other = (x.astype("float16") for x in layers(name))
    found = value(TERMS[name], own, other)
    assert found.dtype == np.float32
    want = REFERENCES[name](own.astype("float64"), other.astype("float64"))
    np.testing.assert_allclose(found, want, rtol=1e-4)


@each_term
def test_the_source_is_not_detached_inside(name):
    assert gradient(TERMS[name], *layers(name))[1].any()


@pytest.mark.parametrize("name", ["hint", "vid", "contrast"])
def test_unequal_widths_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name} needs .*\(4,\), source has \(5,\)"):
        TERMS[name](normal(3, 4), normal(3, 5))


def test_other_than_one_variance_a_channel_is_refused():
    with pytest.raises(ValueError, match=r"each of the 4 channels; found shape \(3,\)"):
        feature.vid(*layers("vid"), np.zeros(3, "float32"))


def test_attention_refuses_vectors():
    with pytest.raises(ValueError, match=r"time or space axis.*learner.*\(3, 4\)"):
        attention(normal(3, 4), normal(3, 4))


def test_attention_refuses_other_positions():
    with pytest.raises(ValueError, match=r"learner has \(3,\), source has \(5,\)"):
        attention(normal(2, 3, 4), normal(2, 5, 4))


@pytest.mark.parametrize("temperature", [0, -1.0])
def test_contrast_refuses_a_temperature_not_above_0(temperature):
    with pytest.raises(ValueError, match="above 0; found"):
        feature.contrast(*layers("contrast"), temperature=temperature)
