"""Tuning: the schedule, what is chosen, and that no test row is read."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from coloss.data import Split
from coloss.study import tuning
from coloss.study.halving import best, rungs
from coloss.study.settings import Record
from coloss.study.store import Store

TAUGHT = {"taught": "main + helper + w*distill(helper >> main)"}


@given(st.integers(1, 200), st.integers(1, 100), st.integers(2, 5), st.data())
def test_rungs_shrink_points_and_grow_budgets(points, most, factor, data):
    least = data.draw(st.integers(1, most))
    found = rungs(points, most, factor, least)
    assert found[0][0] == points
    assert found[-1][1] == most
    for i, ((many, small), (few, large)) in enumerate(itertools.pairwise(found)):
        assert few == math.ceil(points / factor ** (i + 1)) <= many
        assert least <= small <= large <= factor * (small + 0.5)
    # No rung costs much more than a full one for the last points.
    assert sum(n * b for n, b in found) <= len(found) * (points + factor) * most


def test_rungs_of_the_paper():
    assert rungs(81, 81) == [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]
    assert rungs(81, 81, least=9) == [(81, 9), (27, 27), (9, 81)]
    assert rungs(1, 50) == [(1, 50)]
    with pytest.raises(ValueError, match="`least` must be from 1 to 5"):
        rungs(3, 5, least=6)


def test_best_puts_nan_last_and_keeps_the_order_of_ties():
    values = [0.2, float("nan"), 0.9, 0.9]
    assert best(values, 3, "max") == [2, 3, 0]
    assert best(values, 4, "min") == [0, 2, 3, 1]


@pytest.fixture
def planted(monkeypatch):
    """Replace the engine: a run's validation accuracy peaks at w = 2, rate = 0.1."""
    calls = []

    def engine(trial, runs, training, tick):
        calls.append((len(runs), training.epochs, training.parts))
        for run in runs:
            point = dict(run.values)
            rate = run.learning_rate or 0.1
            far = abs(math.log(point["w"] / 2)) + abs(math.log(rate / 0.1))
            noise = 0.3 * np.sin(7 * run.seed + 3 * far) / training.epochs
            value = 0.9 - 0.1 * far + noise
            found = {"main_accuracy": value}
            yield Record(run, found, {}, 0.1, training.epochs, None, [])

    monkeypatch.setattr(tuning, "choose", lambda name, options: engine)
    return calls


def test_halving_over_epochs_finds_the_best_point(study, planted):
    made = study(
        arms={"alone": "main", **TAUGHT},
        coefficients={"w": [0.1, 0.5, 1.0, 2.0, 4.0, 16.0]},
        learning_rates=[0.001, 0.1],
        seeds=4,
        epochs=27,
    )
    found = made.tune("taught", verbose=False)
    assert (found.coefficients, found.learning_rate) == ({"w": 2.0}, 0.1)
    rows = ("validation",)
    assert planted == [(48, 1, rows), (16, 3, rows), (8, 9, rows), (4, 27, rows)]
    table = found.table
    assert table.groupby("rung").size().tolist() == [12, 4, 2, 1]
    assert table.groupby("rung")["kept"].sum().tolist() == [4, 2, 1, 1]
    assert table["epochs"].unique().tolist() == [1, 3, 9, 27]
    assert "w=2, learning_rate=0.1" in str(found)


def test_halving_over_seeds_does_no_run_twice(study, planted):
    made = study(
        arms=TAUGHT, coefficients={"w": [0.5, 1.0, 2.0, 4.0]}, seeds=6, epochs=5
    )
    found = made.tune("taught", budget="seeds", factor=2, verbose=False)
    assert found.coefficients == {"w": 2.0}
    # 4 points on 2 seeds, 2 on 3, 1 on 6: what was done is not done again.
    assert [count for count, _, _ in planted] == [8, 2, 3]
    assert found.table["seeds"].tolist() == [2] * 4 + [3] * 2 + [6]


@pytest.mark.parametrize("sampler", ["halving", "optuna"])
def test_an_interrupted_search_goes_on_where_it_was(study, planted, tmp_path, sampler):
    if sampler == "optuna":
        pytest.importorskip("optuna")

    def made(**options):
        return study(
            arms=TAUGHT, coefficients={"w": [0.5, 1.0, 2.0, 4.0]}, seeds=3, **options
        )

    how = {"sampler": sampler, "trials": 6, "verbose": False}
    whole = made().tune("taught", **how)
    alone = sum(count for count, _, _ in planted)
    add, seen = Store.add, []

    def killed(self, record, key=None):
        add(self, record, key)
        seen.append(key)
        if len(seen) == 7:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            made().tune("taught", path=tmp_path / "tuned.sqlite", **how)
    planted.clear()
    found = made().tune("taught", path=tmp_path / "tuned.sqlite", **how)
    assert sum(count for count, _, _ in planted) == alone - 7
    pd.testing.assert_frame_equal(found.table, whole.table)
    assert found.coefficients == whole.coefficients
    with pytest.raises(ValueError, match="another study: batch_size"):
        made(batch_size=4).tune("taught", path=tmp_path / "tuned.sqlite", **how)


def test_optuna_samples_a_range_and_a_list(study, planted):
    pytest.importorskip("optuna")
    made = study(
        arms=TAUGHT,
        coefficients={"w": stats.loguniform(0.01, 100.0)},
        samples=1,
        learning_rates=[0.001, 0.1],
        seeds=2,
        epochs=5,
    )
    found = made.tune("taught", sampler="optuna", trials=40, verbose=False)
    assert len(found.table) == 40
    assert found.learning_rate == 0.1
    assert 1.0 < found.coefficients["w"] < 4.0
    again = made.tune("taught", sampler="optuna", trials=40, verbose=False)
    assert again.coefficients == found.coefficients


@pytest.mark.parametrize(
    ("arm", "options", "message"),
    [
        ("taugt", {}, "did you mean 'taught'"),
        ("taught", {"sampler": "halvin"}, "did you mean 'halving'"),
        ("taught", {"budget": "rows"}, "`budget` must be one of"),
        ("alone", {}, "nothing to tune"),
    ],
)
def test_refusals(study, arm, options, message):
    made = study(arms={"alone": "main", **TAUGHT}, coefficients={"w": [1.0, 2.0]})
    with pytest.raises(ValueError, match=message):
        made.tune(arm, verbose=False, **options)


def test_test_rows_are_not_read(study):
    """A study whose test rows cannot be read chooses the same point."""

    def poisoned(seed):
        split = study().data(seed)
        x, y = split.test
        broken = {name: np.full_like(values, np.inf) for name, values in x.items()}
        return Split(split.train, split.validation, (broken, np.full_like(y, 99)))

    given = {"arms": TAUGHT, "coefficients": {"w": [0.1, 3.0]}, "epochs": 2}
    clean, other = study(**given), study(**given, data=poisoned)
    # One by one: the arm is compiled once for all rungs.
    first = clean.tune("taught", factor=2, engine="sequential", verbose=False)
    second = other.tune("taught", factor=2, engine="sequential", verbose=False)
    assert first.coefficients == second.coefficients
    assert first.table.equals(second.table)
    with pytest.raises(ValueError, match="test rows"):
        other.run(verbose=False)
