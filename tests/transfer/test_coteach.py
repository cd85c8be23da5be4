"""The learner's own loss on the rows that others find credible: coteach."""

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
    masked_by,
    normal,
    softmax,
    traced,
    value,
)

pytestmark = pytest.mark.backend


def losses(rows: int = 6, sides: int = 3, seed: int = 0) -> list[Array]:
    """Return each network's loss on the same rows, the learner's first."""
    return list(np.abs(normal(sides, rows, seed=seed, scale=2.0)))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 10.0])
def test_against_the_definition(temperature: float) -> None:
    arrays = losses()
    # The weights are detached, so the reference holds them where they are.
    mean = np.mean(np.array(arrays[1:], "float64"), axis=0)
    weights = softmax(-mean, temperature)
    assert_matches(
        lambda *x: transfer.coteach(*x, temperature=temperature),
        lambda own, *_: np.sum(weights * own),
        *arrays,
    )


@given(seed=st.integers(0, 10_000), level=st.sampled_from([0.0, 3.0, 1e4]))
@settings(max_examples=10)
def test_equal_losses_of_the_sources_give_the_plain_mean(
    seed: int, level: float
) -> None:
    own, first, second = losses(seed=seed)
    same = np.full(6, level, "float32")
    want = own.mean()
    for sources in ([same], [same, same + 1]):
        np.testing.assert_allclose(value(transfer.coteach, own, *sources), want, 1e-5)
    very_warm = value(lambda *x: transfer.coteach(*x, temperature=1e6), own, first)
    np.testing.assert_allclose(very_warm, want, rtol=1e-4)
    # A loss that is higher everywhere says nothing about the rows.
    plain, moved = (value(transfer.coteach, own, first + c, second) for c in (0, 5))
    np.testing.assert_allclose(moved, plain, rtol=1e-4)
    order = [5, 3, 1, 0, 2, 4]
    moved = value(transfer.coteach, own[order], second[order], first[order])
    np.testing.assert_allclose(moved, value(transfer.coteach, own, first, second), 1e-5)


def test_an_incredible_label_is_left_out() -> None:
    own = np.array([1.0, 2.0, 30.0], "float32")
    other = np.array([0.5, 0.5, 40.0], "float32")
    np.testing.assert_allclose(value(transfer.coteach, own, other), 1.5, rtol=1e-6)
    assert gradient(transfer.coteach, own, other)[0][2] < 1e-6


def test_the_sources_get_no_gradient() -> None:
    first, *others = gradient(transfer.coteach, *losses())
    np.testing.assert_allclose(first.sum(), 1.0, rtol=1e-5)
    for one in others:
        assert not one.any()


def test_rows_that_do_not_count_have_no_influence() -> None:
    assert_masks(transfer.coteach, *losses(), rows=(0, 2, 3))
    assert_masks(transfer.coteach, *losses(), rows=(4,))
    assert_silent(masked_by(transfer.coteach, np.zeros(6, bool)), *losses())


def test_a_row_uses_the_sources_that_it_has() -> None:
    own, first, second = losses()
    here = np.array([True, True, False, True, False, True])
    there = np.array([True, False, True, True, False, True])
    mean = np.where(here & there, (first + second) / 2, np.where(here, first, second))
    known = here | there
    want = np.sum(softmax(-mean[known]) * own[known])
    own[4], first[~here], second[~there] = np.nan, np.nan, np.inf

    def term(*tensors: Any) -> Any:
        return transfer.coteach(*tensors, source_masks=[here, there])

    np.testing.assert_allclose(value(term, own, first, second), want, rtol=1e-5)
    found = gradient(term, own, first, second)[0]
    assert np.isfinite(found).all()
    assert found[4] == 0
    assert (found[known] > 0).all()


def test_rows_and_weights() -> None:
    arrays = losses()
    mask = np.array([True, True, False, True, True, False])
    rows = value(masked_by(partial(transfer.coteach, per_row=True), mask), *arrays)
    assert not rows[~mask].any()
    want = value(masked_by(transfer.coteach, mask), *arrays)
    np.testing.assert_allclose(rows.sum() / 4, want, rtol=1e-5)
    weights = np.array([2.0, 0, np.nan, 1, 0.5, 9], "float32")
    found = value(lambda *x: transfer.coteach(*x, mask=mask, weights=weights), *arrays)
    np.testing.assert_allclose(found, (rows * weights)[mask].sum() / 4, rtol=1e-5)


def test_in_a_compiled_step() -> None:
    arrays = losses()
    found = traced(transfer.coteach, *arrays)
    np.testing.assert_allclose(found, value(transfer.coteach, *arrays), rtol=1e-5)


def test_small_and_degenerate_batches() -> None:
    for rows in (1, 2):
        arrays = losses(rows)
        for scale in (0.0, 1.0, 1e4, 1e30):
            assert_finite(transfer.coteach, *[x * np.float32(scale) for x in arrays])
    np.testing.assert_allclose(value(transfer.coteach, *losses(1)), losses(1)[0][0])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s, t: transfer.coteach(s), "at least 1 source"),
        (lambda s, t: transfer.coteach(s[:, None], t[:, None]), "shape .batch,."),
        (lambda s, t: transfer.coteach(s, t[:2]), "same rows"),
        (lambda s, t: transfer.coteach(s, t, temperature=0.0), "above 0; found 0"),
        (lambda s, t: transfer.coteach(s, t, source_masks=[]), "found 0 for 1"),
    ],
)
def test_refusals(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        value(call, *losses(sides=2))
