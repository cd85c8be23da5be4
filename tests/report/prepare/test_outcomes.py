"""Confusion, calibration and scores, against numbers by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from coloss.report import prepare


def test_confusion_by_hand():
    counts = prepare.confusion(
        labels=[0, 0, 1, 2, 2, -1, 1], predicted=[0, 1, 1, 2, 0, 0, -1], classes="xyz"
    )
    assert counts.to_numpy().tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert counts.index.tolist() == ["x", "y", "z"]


def test_confusion_of_random_rows_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    true, found = random.integers(0, 5, 300), random.integers(0, 5, 300)
    counts = prepare.confusion(true, found, range(5)).to_numpy()
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(true, found))


def test_a_class_without_a_name_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1, as there are 2 names"):
        prepare.confusion([0, 2], [0, 1], ["x", "y"])
    with pytest.raises(ValueError, match="one value a row each"):
        prepare.confusion([0, 1], [0], ["x", "y"])


def test_reliability_and_calibration_error_by_hand():
    probabilities = np.array(
        [
            [0.9, 0.1],  # right, in the bin (0.75, 1]
            [0.2, 0.8],  # wrong, likewise
            [0.6, 0.4],  # right, in the bin (0.5, 0.75]
            [0.4, 0.6],  # without a label
            [np.nan, np.nan],  # without a prediction
        ]
    )
    bins = prepare.reliability([0, 0, 0, -1, 1], probabilities, bins=4)
    assert bins["rows"].tolist() == [0, 0, 1, 2]
    assert bins["accuracy"].tolist()[2:] == [1.0, 0.5]
    assert bins["confidence"].tolist()[2:] == pytest.approx([0.6, 0.85])
    assert bins["accuracy"].isna().tolist() == [True, True, False, False]
    # (1 row * |1 - 0.6| + 2 rows * |0.5 - 0.85|) / 3 rows
    assert prepare.calibration_error(bins) == pytest.approx((0.4 + 0.7) / 3)


def test_a_bin_contains_its_upper_end():
    probabilities = [[0.7, 0.3], [0.5, 0.5], [0.0, 1.0]]
    bins = prepare.reliability([0, 0, 1], probabilities)
    assert bins.loc[bins["rows"] > 0, "high"].tolist() == pytest.approx([0.5, 0.7, 1.0])


def test_a_calibrated_forecast_has_a_small_error():
    random = np.random.default_rng(1)
    sure = random.uniform(0.5, 1, 20_000)
    labels = (random.uniform(size=20_000) > sure).astype(int)
    bins = prepare.reliability(labels, np.stack([sure, 1 - sure], -1))
    assert prepare.calibration_error(bins) < 0.02
    assert np.isnan(prepare.calibration_error(bins.assign(rows=0)))


def test_scores_are_those_of_scikit_learn():
    random = np.random.default_rng(2)
    true = random.normal(size=50)
    found = true + random.normal(size=50)
    scores = prepare.scores([*true, np.nan, 1.0], [*found, 1.0, np.nan])
    assert scores["mean absolute error"] == pytest.approx(
        metrics.mean_absolute_error(true, found)
    )
    assert scores["root mean squared error"] ** 2 == pytest.approx(
        metrics.mean_squared_error(true, found)
    )
    assert scores["R2"] == pytest.approx(metrics.r2_score(true, found))
    assert prepare.scores([np.nan], [1.0]) == {}


def test_probabilities_are_in_the_order_of_their_numbers():
    names = [f"probability_{i}" for i in (10, 2, 1, 0)]
    frame = pd.DataFrame([[10.0, 2.0, 1.0, 0.0]], columns=names)
    assert prepare.probabilities_of(frame).tolist() == [[0.0, 1.0, 2.0, 10.0]]
    assert prepare.probabilities_of(frame, "fused_") is None


def test_rows_of_each_class_and_without_a_label():
    data = {
        "rows": {"train": 10, "test": 3},
        "labeled": {"train": 4, "test": 3},
        "class_counts": {"train": {"x": 1, "y": 3}, "test": {"x": 3}},
    }
    assert prepare.class_counts(data).to_numpy().tolist() == [
        ["train", "x", 1],
        ["train", "y", 3],
        ["train", "unlabeled", 6],
        ["test", "x", 3],
    ]
    without = {"rows": {"train": 10}, "labeled": {"train": 4}, "class_counts": None}
    assert prepare.class_counts(without)["class"].tolist() == ["labeled", "unlabeled"]
