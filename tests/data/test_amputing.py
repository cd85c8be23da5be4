"""Inputs taken away: how many, and which, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from coloss.data import ampute

random = np.random.default_rng(0)
X = {
    "a": random.normal(size=(400, 2)).astype("float32"),
    "b": random.normal(size=(400, 3, 2)),
    "c": np.arange(400)[:, None],
}


def gone(values):
    """Return the rows that are NaN throughout, of which no other has any."""
    missing = np.isnan(values).reshape(len(values), -1)
    assert (missing.all(axis=1) == missing.any(axis=1)).all()
    return missing.all(axis=1)


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
def test_a_share_of_the_rows_is_missing_and_all_else_stays(mechanism):
    found = ampute(X, {"b": 0.3, "c": 0.1}, mechanism, seed=1)
    assert [int(gone(found[name]).sum()) for name in X] == [0, 120, 40]
    for name, values in X.items():
        there = ~gone(found[name])
        np.testing.assert_array_equal(found[name][there], values[there])
    assert found["a"].dtype == "float32" and found["c"].dtype == "float32"
    assert not np.isnan(X["b"]).any()
    again = ampute(X, {"b": 0.3, "c": 0.1}, mechanism, seed=1)
    np.testing.assert_array_equal(gone(found["b"]), gone(again["b"]))
    other = ampute(X, {"b": 0.3}, mechanism, seed=2)
    assert (gone(found["b"]) != gone(other["b"])).any()


def test_what_rows_are_drawn_by():
    """Mean of the score of missing rows less that of the others, over 20 draws."""
    scores = {"own": X["b"].mean(axis=(1, 2)), "kept": X["a"].mean(axis=1)}

    def shift(mechanism, of):
        score = (scores[of] - scores[of].mean()) / scores[of].std()
        lost = [
            gone(ampute({"a": X["a"], "b": X["b"]}, {"b": 0.5}, mechanism, seed)["b"])
            for seed in range(20)
        ]
        return np.mean([score[one].mean() - score[~one].mean() for one in lost])

    # The standard error of each is about 0.1 / sqrt(20) = 0.02.
    assert shift("mnar", "own") > 0.3
    assert shift("mar", "kept") > 0.3
    for mechanism, of in (("mcar", "own"), ("mcar", "kept"), ("mar", "own")):
        assert abs(shift(mechanism, of)) < 0.12
    assert abs(shift("mnar", "kept")) < 0.12


def test_one_array_and_the_ends():
    assert gone(ampute(X["a"], 0.25)).sum() == 100
    assert not gone(ampute(X["a"], 0)).any() and gone(ampute(X["a"], 1)).all()


@pytest.mark.parametrize(
    ("x", "share", "mechanism", "said"),
    [
        (X, 0.5, "mcr", "did you mean 'mcar'"),
        (X, 1.5, "mcar", "`share` must be"),
        (X, {"d": 0.5}, "mcar", "no input 'd'"),
        (X, 0.5, "mar", "the inputs that keep all rows, and none does"),
        (X["a"], 0.5, "mar", "none does"),
        (X["a"], {"a": 0.5}, "mcar", "give one number"),
    ],
)
def test_what_cannot_be_taken_away_is_refused(x, share, mechanism, said):
    with pytest.raises(ValueError, match=said):
        ampute(x, share, mechanism)
