"""What a result says, against pandas and SciPy on the same numbers."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from scipy import stats

from coloss.study import StudyResult, bootstrap_gain, paired_gain, seeds_needed
from coloss.study.arms import Run
from coloss.study.settings import Record


def record(arm, seed, test, validation=0.5, error=None, **values):
    return Record(
        run=Run(arm, seed, tuple(values.items())),
        validation={"main_accuracy": validation},
        test={"main_accuracy": test, "main_loss": 1.0 - test},
        seconds=0.1,
        epochs=2,
        error=error,
        history=[{"loss": 1.0}, {"loss": 0.5}],
    )


def result(records, **options):
    arms = dict.fromkeys(r.run.arm for r in records)
    given = {
        "main": "main",
        "metric": "main_accuracy",
        "direction": "max",
        "baseline": "alone",
        **options,
    }
    return StudyResult(records, arms, **given)


@pytest.fixture
def planted():
    random = np.random.default_rng(0)
    base = random.normal(0.6, 0.03, 20)
    noise = random.normal(0, 0.01, (3, 20))
    arms = {
        "alone": base,
        "better": base + 0.05 + noise[0],
        "same": base + noise[1],
        "worse": base - 0.05 + noise[2],
    }
    return result(
        [
            record(arm, seed, value)
            for arm, values in arms.items()
            for seed, value in enumerate(values)
        ]
    )


def test_planted_effects_are_found(planted):
    table = planted.compare()
    assert table["verdict"].tolist() == ["baseline", "gained", "no evidence", "harmed"]
    for row in table.iloc[1:].itertuples():
        assert row.low < row.gain < row.high
        assert row.bootstrap_low < row.gain < row.bootstrap_high
    assert "main gained with 'better'" in str(planted)


def test_a_study_without_a_control_says_so(planted):
    assert "No arm is a control" in planted.verdict
    held = result(planted.records, controls=["same"])
    assert "No arm is a control" not in held.verdict
    assert "'better': gains over the control 'same', +0.0" in held.verdict


def test_a_gain_that_a_control_has_as_well_is_told(planted):
    records = [*planted.records]
    for old in planted.records:
        if old.run.arm == "better":
            value = old.test["main_accuracy"] + 0.001 * (old.run.seed % 2)
            records.append(record("random weights", old.run.seed, value))
    told = result(records, controls=["random weights"]).verdict
    assert "'better': no gain over the control 'random weights'" in told
    assert "'random weights': " not in told
    assert "'better' beats 'alone', not 'random weights'." in told


def test_a_gain_that_a_twin_has_as_well_did_not_come_from_other_inputs(planted):
    same = [
        record("twin", old.run.seed, old.test["main_accuracy"])
        for old in planted.records
        if old.run.arm == "better"
    ]
    found = result([*planted.records, *same], controls=["same", "twin"])
    assert found.beaten == {"better": {"beats": ["alone", "same"], "not": ["twin"]}}
    said = "'better' beats 'alone' and 'same', not 'twin': that the gain comes from"
    assert said in found.verdict


def test_the_best_run_is_best_on_validation_rows():
    records = [record("alone", seed, 0.5) for seed in range(3)]
    for seed, validation in enumerate((0.4, 0.8, 0.7)):
        records.append(record("taught", seed, 0.9, validation=validation, w=1.0))
        records.append(record("taught", seed, 0.9, validation=0.1, w=2.0))
    assert result(records).best("taught") == Run("taught", 1, (("w", 1.0),))
    assert result(records, direction="min").best("taught").values == (("w", 2.0),)


def test_a_report_is_written_by_coloss_report(planted, monkeypatch, tmp_path):
    written = []
    page = types.ModuleType("coloss.report")
    page.write_study = lambda *given: written.append(given)
    monkeypatch.setitem(sys.modules, "coloss.report", page)
    path = tmp_path / "page.html"
    assert planted.report(str(path)) == path
    assert written == [(planted, str(path))]


def test_intervals_hold_for_all_arms_together(planted):
    frame = planted.frame
    tests = frame.pivot(index="seed", columns="arm", values="test_main_accuracy")
    expected = stats.ttest_rel(tests["better"], tests["alone"])
    interval = expected.confidence_interval(1 - 0.05 / 3)
    row = planted.compare("alone").loc["better"]
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["p"] == pytest.approx(min(1.0, 3 * expected.pvalue))
    mean = stats.ttest_1samp(tests["better"], 0).confidence_interval(0.95)
    assert row["mean_low"] == pytest.approx(mean.low)


def test_less_loss_is_a_gain(planted):
    verdicts = planted.compare(metric="main_loss")["verdict"]
    assert verdicts["better"] == "gained"
    assert verdicts["worse"] == "harmed"


def test_points_are_chosen_on_validation_rows_alone():
    records = [record("alone", seed, 0.5) for seed in range(3)]
    for seed in range(3):
        records.append(record("taught", seed, 0.9, validation=0.4, w=1.0))
        records.append(record("taught", seed, 0.6, validation=0.7, w=2.0))
    found = result(records)
    assert found.compare().loc["taught", "point"] == "w=2"
    assert found.compare().loc["taught", "mean"] == pytest.approx(0.6)
    lower = result(records, direction="min")
    assert lower.compare().loc["taught", "point"] == "w=1"


def test_the_frame_has_one_row_a_run(planted):
    frame = planted.frame
    assert len(frame) == 80
    expected = ["arm", "seed", "validation_main_accuracy", "test_main_accuracy"]
    assert frame.columns[:4].tolist() == expected
    assert len(planted.history) == 160
    assert planted.history["epoch"].unique().tolist() == [0, 1]


def test_unknown_names_are_told_with_the_nearest(planted):
    with pytest.raises(ValueError, match="did you mean 'alone'"):
        planted.compare("alnoe")
    with pytest.raises(ValueError, match="did you mean 'main_loss'"):
        planted.compare(metric="main_los")


def test_two_hundred_studies_without_an_effect_seldom_claim_one():
    """Three arms each; "gained" in any of them at most at the nominal 2.5 %."""
    random = np.random.default_rng(7)
    claims = 0
    for _ in range(200):
        base = random.normal(0.6, 0.03, 8)
        records = [record("alone", seed, value) for seed, value in enumerate(base)]
        for arm in "abc":
            values = base + random.normal(0, 0.02, 8)
            records += [record(arm, seed, value) for seed, value in enumerate(values)]
        claims += (result(records).compare()["verdict"] == "gained").any()
    # Nominal 2.5 %: 5 of 200; 11 or more would come once in a hundred such tests.
    assert claims <= 10


def test_seeds_needed_have_the_power_that_they_promise():
    random = np.random.default_rng(3)
    differences = random.normal(0, 1, 30)
    spread = differences.std(ddof=1)
    needed = seeds_needed(differences, np.zeros(30), effect=spread)
    assert needed == 10  # Cohen: d = 1, two-sided 5 %, power 80 %.
    found = [
        paired_gain(random.normal(1, 1, needed), np.zeros(needed)).low > 0
        for _ in range(500)
    ]
    assert 0.75 <= np.mean(found) <= 0.9
    assert seeds_needed(differences, np.zeros(30), effect=100.0) == 2
    with pytest.raises(ValueError, match="not 0"):
        seeds_needed(differences, np.zeros(30), effect=0)


def test_the_bootstrap_is_deterministic_and_near_students_interval():
    random = np.random.default_rng(4)
    values, base = random.normal(1, 1, 40), np.zeros(40)
    ends = bootstrap_gain(values, base)
    assert ends == bootstrap_gain(values, base)
    gain = paired_gain(values, base)
    assert ends == pytest.approx((gain.low, gain.high), abs=0.08)


def test_equal_differences_need_enough_pairs():
    def verdict(pairs):
        records = [record("alone", s, 0.5) for s in range(pairs)]
        records += [record("a", s, 0.6) for s in range(pairs)]
        return result(records).compare().loc["a", "verdict"]

    assert verdict(2) == "no evidence"
    assert verdict(8) == "gained"
