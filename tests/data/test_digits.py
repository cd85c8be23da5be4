"""The embedded digits: the data, the split, and what may leak."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from coloss.data import WIDTHS, load_digits_views
from coloss.data.digits import _tables, duplicate_groups

SEEDS = range(8)
PAIRS = [(605, 774), (1148, 1172), (1237, 1271), (1265, 1272), (1448, 1521)]
PAIRS.append((1892, 1999))


@pytest.fixture(scope="module")
def raw():
    return _tables()


def test_the_six_views_have_their_known_shapes(raw):
    features, labels = raw
    assert {name: table.shape for name, table in features.items()} == {
        name: (2000, width) for name, width in WIDTHS.items()
    }
    assert np.bincount(labels).tolist() == [200] * 10
    # Two columns that are whole numbers in the source, and their known ranges.
    assert (features["pix"].min(), features["pix"].max()) == (0, 6)
    assert np.all(features["fac"] == np.round(features["fac"]))


def test_the_duplicate_rows_are_those_found_in_the_source():
    groups = duplicate_groups()
    numbers, counts = np.unique(groups, return_counts=True)
    found = [tuple(np.flatnonzero(groups == n).tolist()) for n in numbers[counts > 1]]
    assert sorted(found) == PAIRS


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_are_stratified_and_disjoint(seed, raw):
    split = load_digits_views(("pix", "fac"), seed=seed)
    sizes = [(1000, 100), (400, 40), (600, 60)]
    for (x, y), (rows, each) in zip(
        (split.train, split.validation, split.test), sizes, strict=True
    ):
        assert x["pix"].shape == (rows, 240)
        assert (x["pix"].dtype, y.dtype) == (np.float32, np.int32)
        assert np.bincount(y).tolist() == [each] * 10


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_rows_are_never_on_two_sides(seed):
    split = load_digits_views(tuple(WIDTHS), seed=seed)
    sides = []
    for x, _ in (split.train, split.validation, split.test):
        table = np.hstack([x[name] for name in WIDTHS])
        sides.append({hashlib.sha256(row.tobytes()).digest() for row in table})
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    # 2000 rows, of which six are copies.
    assert len(sides[0] | sides[1] | sides[2]) == 1994


def test_standardized_on_training_rows_only():
    split = load_digits_views(("kar",), seed=1)
    train, test = split.train[0]["kar"], split.test[0]["kar"]
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-4)
    assert np.abs(test.mean(axis=0)).max() > 1e-3


def test_the_views_of_a_row_belong_together(raw):
    """Views and label of each row come from one and the same source row."""
    features, labels = raw
    split = load_digits_views(("kar", "zer"), seed=2)
    parts = (split.train, split.validation, split.test)
    rows = {
        name: source_rows(features[name], np.vstack([x[name] for x, _ in parts]))
        for name in ("kar", "zer")
    }
    # `zer` alone holds the same features for several digits: compare features.
    expected, own = features["zer"][rows["kar"]], features["zer"][rows["zer"]]
    np.testing.assert_array_equal(expected, own)
    assert len(np.unique(rows["kar"])) == 1994
    found = np.concatenate([y for _, y in parts])
    np.testing.assert_array_equal(labels[rows["kar"]], found)


def source_rows(table, scaled):
    """Find each scaled row in the source table, both brought to one scale."""
    both = [(t - t.mean(axis=0)) / t.std(axis=0) for t in (scaled.astype(float), table)]
    squares = [(t**2).sum(axis=1) for t in both]
    distance = squares[0][:, None] + squares[1] - 2 * both[0] @ both[1].T
    return distance.argmin(axis=1)


def test_labeled_rows_are_nested_and_stratified():
    known = {}
    for count in (10, 100, 105, 300, 1000):
        y = load_digits_views(("mor",), n_labeled=count, seed=4).train[1]
        known[count] = set(np.flatnonzero(y >= 0).tolist())
        assert len(known[count]) == count
        per_digit = np.bincount(y[y >= 0], minlength=10)
        assert per_digit.max() - per_digit.min() <= 1
        assert np.all(y[[i for i in range(1000) if i not in known[count]]] == -1)
    assert known[10] < known[100] < known[105] < known[300] < known[1000]


def test_n_labeled_changes_labels_only():
    few = load_digits_views(("kar",), n_labeled=50, seed=5)
    all_of_them = load_digits_views(("kar",), seed=5)
    np.testing.assert_array_equal(few.train[0]["kar"], all_of_them.train[0]["kar"])
    np.testing.assert_array_equal(few.test[1], all_of_them.test[1])
    labels = few.train[1]
    kept = labels >= 0
    np.testing.assert_array_equal(labels[kept], all_of_them.train[1][kept])


def test_the_same_seed_gives_the_same_split_and_another_another():
    first, again = (load_digits_views(("mor",), seed=7) for _ in range(2))
    other = load_digits_views(("mor",), seed=8)
    np.testing.assert_array_equal(first.train[0]["mor"], again.train[0]["mor"])
    assert not np.array_equal(first.train[0]["mor"], other.train[0]["mor"])


def test_a_caller_cannot_spoil_the_data_for_the_next():
    split = load_digits_views(("mor",), seed=0)
    before = split.test[1].copy()
    split.test[1][:] = 0
    np.testing.assert_array_equal(load_digits_views(("mor",), seed=0).test[1], before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"views": ("fuo",)}, "no view 'fuo'; did you mean 'fou'"),
        ({"views": ("xyz",)}, r"no view 'xyz' \(views: fac"),
        ({"views": ("fou", "fou")}, "named twice"),
        ({"views": ()}, "`views` is empty"),
        ({"n_labeled": 9}, "from 10 to 1000; found 9"),
        ({"n_labeled": 1001}, "found 1001"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_digits_views(**arguments)


def test_a_count_that_is_no_integer():
    with pytest.raises(TypeError, match=r"whole number .* found 100\.0"):
        load_digits_views(n_labeled=100.0)
