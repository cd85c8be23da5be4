"""Rows are dealt out by share, class and group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coloss.data.splitting import PARTS, assign_parts


@given(
    st.lists(st.sampled_from(["a", "b", None]), min_size=20, max_size=60),
    st.integers(0, 5),
)
def test_every_class_has_its_share_within_a_row(labels, seed):
    labels = [*labels, *"aaaaa", *"bbbbb"]
    parts = assign_parts(labels, (0.2, 0.3), seed=seed)
    found = np.array(labels, object)
    for label in "ab":
        rows = parts[found == label]
        for part, share in zip(PARTS, (0.5, 0.2, 0.3), strict=True):
            assert abs((rows == part).sum() - share * len(rows)) <= 1
    assert set(parts[[label is None for label in labels]]) <= {"train"}


def test_seeds_deal_differently_and_repeatably():
    labels = ["a", "b"] * 20
    one, again, other = (assign_parts(labels, (0.2, 0.2), seed=s) for s in (1, 1, 2))
    assert (one == again).all() and (one != other).any()


def test_groups_stay_together_and_shares_are_near():
    random = np.random.default_rng(0)
    groups = random.integers(0, 40, 400)
    labels = [None if row % 10 == 0 else "ab"[row % 2] for row in range(400)]
    parts = assign_parts(labels, (0.2, 0.2), groups=groups.tolist(), seed=3)
    for group in range(40):
        assert len(set(parts[groups == group])) == 1
    known = np.array([label is not None for label in labels])
    found = np.array(labels, object)
    for label in "ab":
        shares = [np.mean(parts[known & (found == label)] == part) for part in PARTS]
        np.testing.assert_allclose(shares, (0.6, 0.2, 0.2), atol=0.05)


def test_too_few_rows_or_groups_are_told():
    with pytest.raises(ValueError, match="no labeled row is left for validation"):
        assign_parts(["a", "b"], (0.2, 0.2))
    with pytest.raises(ValueError, match="there are 2 groups"):
        assign_parts(["a"] * 9, (0.3, 0.3), groups=[0] * 4 + [1] * 5)


def test_without_shares_everything_is_for_training():
    assert set(assign_parts(["a", "b"], (0.0, 0.0))) == {"train"}
