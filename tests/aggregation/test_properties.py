"""What the papers claim, on gradients that hypothesis chooses."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coloss.aggregation import IMTLG, PCD, AlignedMTL, NashMTL
from tests.aggregation.contract import CASES, claiming, name_of
from tests.aggregation.gramians import compiled, numbers, square

few = settings(max_examples=40)
K = 3


@functools.cache
def program(case):
    return compiled(lambda gramian: case.method.weights(gramian, case.seed()))


def weigh(case, gradients):
    gramian = (gradients @ gradients.T).astype("float32")
    return numbers(program(case)(gramian))


@st.composite
def any_gradients(draw):
    """Three gradients of 1 to 4 numbers, of lengths 1e-6 to 1e6 (or 1e-3 apart)."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    width = draw(st.integers(1, 4))
    scale = 10.0 ** draw(st.floats(-6, 6))
    apart = 10.0 ** rng.uniform(-1.5, 1.5, size=(K, 1)) if draw(st.booleans()) else 1
    return rng.normal(size=(K, width)) * scale * apart


@st.composite
def independent(draw):
    return square(np.random.default_rng(draw(st.integers(0, 10**6))), K)


def lengths(gradients):
    return np.linalg.norm(gradients, axis=1)


@few
@pytest.mark.parametrize("case", claiming("hull"), ids=name_of)
@given(gradients=any_gradients())
def test_between_the_gradients(case, gradients) -> None:
    weights = weigh(case, gradients)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-5)


@few
@pytest.mark.parametrize("case", claiming("agrees"), ids=name_of)
@given(gradients=any_gradients())
def test_no_summand_gets_worse(case, gradients) -> None:
    combined = weigh(case, gradients) @ gradients
    products = gradients @ combined / lengths(gradients)
    assert products.min() >= -2e-3 * lengths(gradients).max()


@few
@pytest.mark.parametrize("case", claiming("linear"), ids=name_of)
@given(gradients=independent(), factors=st.tuples(*[st.floats(0.01, 100)] * K))
def test_grows_linearly_with_each_length(case, gradients, factors) -> None:
    """A(diag(c) J) is linear in c: the sum over single factors is the whole."""
    parts = []
    for place, factor in enumerate(factors):
        scale = np.full(K, 1e-3)
        scale[place] = factor
        parts.append((scale, weigh(case, scale[:, None] * gradients) * scale))
    whole = sum(scale for scale, _ in parts)
    combined = (weigh(case, whole[:, None] * gradients) * whole) @ gradients
    summed = sum(weights for _, weights in parts) @ gradients
    unit = np.max(whole * lengths(gradients))
    np.testing.assert_allclose(combined, summed, atol=1e-3 * unit)


@few
@pytest.mark.parametrize("case", claiming("stationary"), ids=name_of)
@given(
    gradients=independent(),
    shares=st.tuples(*[st.floats(0.2, 1.0)] * K),
)
def test_stops_where_no_step_improves_all(case, gradients, shares) -> None:
    shares = np.array(shares) / np.sum(shares)
    gradients = gradients - shares @ gradients  # Now 0 lies between them.
    combined = weigh(case, gradients) @ gradients
    assert np.linalg.norm(combined) <= 2e-2 * lengths(gradients).max()


@few
@pytest.mark.parametrize("case", claiming("scale-free"), ids=name_of)
@given(gradients=independent(), factors=st.tuples(*[st.floats(0.01, 100)] * K))
def test_lengths_do_not_matter(case, gradients, factors) -> None:
    other = gradients * np.array(factors)[:, None]
    one, two = (weigh(case, g) @ g for g in (gradients, other))
    np.testing.assert_allclose(one, two, atol=1e-3 * K**0.5)


@few
@given(gradients=independent())
def test_nash_shares_its_progress_equally(gradients) -> None:
    case = next(case for case in CASES if isinstance(case.method, NashMTL))
    weights = weigh(case, gradients)
    products = weights * (gradients @ (weights @ gradients))
    np.testing.assert_allclose(products, 1.0, rtol=2e-2)


@few
@given(gradients=independent())
def test_imtlg_has_equal_parts_of_all(gradients) -> None:
    case = next(case for case in CASES if isinstance(case.method, IMTLG))
    weights = weigh(case, gradients)
    parts = gradients @ (weights @ gradients) / lengths(gradients)
    unit = np.sum(np.abs(weights) * lengths(gradients))
    np.testing.assert_allclose(parts, parts.mean(), atol=1e-4 * unit)


@few
@given(gradients=independent())
def test_alignedmtl_has_the_weakest_singular_value(gradients) -> None:
    """Aligned gradients are orthogonal, so their mean is this long."""
    case = next(case for case in CASES if isinstance(case.method, AlignedMTL))
    combined = weigh(case, gradients) @ gradients
    least = np.linalg.svd(gradients, compute_uv=False)[-1]
    assert np.linalg.norm(combined) == pytest.approx(least / K**0.5, rel=1e-2)


@few
@given(gradients=independent())
def test_pcd_gives_every_summand_its_share(gradients) -> None:
    case = next(case for case in CASES if isinstance(case.method, PCD))
    combined = weigh(case, gradients) @ gradients
    first = lengths(gradients)[0]
    assert np.linalg.norm(combined) == pytest.approx(first, rel=1e-3)
    # Before it is brought to this length, a share of tau; and never against anyone.
    assert (gradients[1:] @ combined >= -1e-3 * first * lengths(gradients)[1:]).all()


@few
@given(gradients=independent(), c=st.sampled_from([0.4]))
def test_cagrad_stays_in_its_ball_and_helps_the_worst(gradients, c) -> None:
    case = next(case for case in CASES if case.name == "CAGrad")
    combined = weigh(case, gradients) @ gradients
    mean = gradients.mean(axis=0)
    radius = c * np.linalg.norm(mean)
    unit = lengths(gradients).max()
    if np.any(combined):
        assert np.linalg.norm(combined - mean) <= radius + 1e-3 * unit
        worst, before = (gradients @ combined).min(), (gradients @ mean).min()
        assert worst >= before - 1e-3 * unit * unit


@few
@given(gradients=any_gradients())
def test_two_summands_of_pcgrad_never_conflict(gradients) -> None:
    case = next(case for case in CASES if case.name == "PCGrad")
    gradients = gradients[:2]
    combined = weigh(case, gradients) @ gradients
    assert (gradients @ combined / lengths(gradients)).min() >= -1e-3 * lengths(
        gradients
    ).max()
