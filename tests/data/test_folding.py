"""Folds: every row is tested once a deal, and no group is on two sides."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coloss.data import folds


def table(rows, classes, random):
    y = random.integers(0, classes, rows)
    return {"a": random.normal(size=(rows, 3)), "b": random.normal(size=(rows, 2))}, y


@given(
    st.integers(0, 10_000),
    st.integers(3, 5),
    st.integers(5, 12),
    st.integers(0, 30),
    st.booleans(),
)
def test_no_group_is_on_two_sides(seed, num_folds, many, study_seed, stratified):
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 6, many)
    groups = random.permutation(np.repeat(np.arange(many), sizes))
    x, y = table(len(groups), 2, random)
    stratify = None if stratified and np.bincount(y).min() >= num_folds else False
    made = folds(x, y, groups=groups, num_folds=num_folds, stratify=stratify, seed=3)
    parts = made.rows(study_seed)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(groups)))
    sides = [set(groups[rows]) for rows in parts]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


@pytest.mark.parametrize("grouped", [False, True])
def test_each_row_is_tested_once_and_deals_differ(grouped):
    x, y = table(60, 3, np.random.default_rng(0))
    groups = np.arange(60) // 3 if grouped else None
    made = folds(x, y, groups=groups, num_folds=5)
    first = [made.rows(seed)[2] for seed in range(5)]
    assert np.array_equal(np.sort(np.concatenate(first)), np.arange(60))
    # Validation rows of one seed are the test rows of the next.
    assert np.array_equal(made.rows(1)[1], first[2])
    second = [set(made.rows(seed)[2]) for seed in range(5, 10)]
    assert {frozenset(s) for s in map(set, first)} != {frozenset(s) for s in second}
    again = folds(x, y, groups=groups, num_folds=5)
    assert np.array_equal(again.rows(7)[0], made.rows(7)[0])


@pytest.mark.parametrize("form", ["classes", "one hot", "by member"])
def test_classes_are_spread_evenly(form):
    random = np.random.default_rng(1)
    y = random.permutation(np.repeat([0, 1, -1], [20, 40, 40]))
    one_hot = np.eye(2)[y]
    one_hot[y < 0] = np.nan
    labels = {"classes": y, "one hot": one_hot, "by member": {"a": y}}[form]
    made = folds({"a": random.normal(size=(100, 2))}, labels, num_folds=5)
    for seed in range(3):
        test = made.rows(seed)[2]
        assert [(y[test] == c).sum() for c in (0, 1, -1)] == [4, 8, 8]


def test_the_split_holds_the_rows_standardized_by_those_to_train_on():
    x, y = table(40, 2, np.random.default_rng(2))
    made = folds(x, y, num_folds=4, standardize=True)
    split, (train, _, test) = made(3), made.rows(3)
    np.testing.assert_allclose(split.train[0]["a"].mean(axis=0), 0.0, atol=1e-6)
    expected = (x["b"][test] - x["b"][train].mean(0)) / x["b"][train].std(0)
    np.testing.assert_allclose(split.test[0]["b"], expected, rtol=1e-5)
    assert np.array_equal(split.test[1], y[test])
    plain = folds(x["a"], y, num_folds=4)(3)
    assert np.array_equal(plain.test[0], x["a"][test])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_folds": 2}, "`num_folds` must be at least 3"),
        ({"groups": np.zeros(9)}, "`groups` has 9 rows; `x` has 10"),
        ({"groups": np.arange(10) // 4}, "5 folds need as many groups; found 3"),
        ({"num_folds": 11}, "11 folds need as many rows; found 10"),
        ({"stratify": np.zeros(3)}, "`stratify` has 3 rows"),
        ({"y": np.zeros(4)}, "`y` has 4 rows"),
    ],
)
def test_refusals(options, message):
    given = {"x": np.zeros((10, 2)), "y": np.zeros(10), **options}
    with pytest.raises(ValueError, match=message):
        folds(given.pop("x"), given.pop("y"), **given)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"coloss\[study\]"):
        folds(np.zeros((10, 2)), np.zeros(10)).rows(0)
