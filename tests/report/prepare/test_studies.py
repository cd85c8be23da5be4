"""What the forest plot and the arms' curves draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from coloss.report import prepare


def test_the_forest_leaves_out_the_baseline_and_begins_with_the_largest_gain():
    compared = pd.DataFrame(
        {
            "gain": [np.nan, 0.1, 0.3],
            "low": [np.nan, -0.1, 0.2],
            "high": [np.nan, 0.3, 0.4],
            "verdict": ["baseline", "no evidence", "gained"],
        },
        index=pd.Index(["alone", "paper", "taught"], name="arm"),
    )
    table = prepare.forest(compared)
    assert table["arm"].tolist() == ["taught", "paper"]
    assert table.iloc[0].tolist() == ["taught", 0.3, 0.2, 0.4, "gained"]
    pd.testing.assert_frame_equal(prepare.forest(compared.reset_index()), table)


def history():
    rows = [("a", 0, 0.3, 0, 1.0), ("a", 1, 0.3, 0, 3.0), ("a", 0, 0.3, 1, 5.0)]
    rows += [("a", 0, 1.0, 0, 99.0), ("b", 0, np.nan, 0, 7.0)]
    return pd.DataFrame(rows, columns=["arm", "seed", "w", "epoch", "val_m"])


def test_curves_are_means_with_one_standard_deviation():
    chosen = prepare.at_points(history(), {"a": "w=0.3", "b": ""})
    assert len(chosen) == 4
    table = prepare.arm_curves(chosen, "val_m")
    first = table.iloc[0]
    spread = np.sqrt(2.0)  # of 1 and 3, by n - 1
    assert (first["epoch"], first["mean"], first["runs"]) == (1, 2.0, 2)
    assert first["low"] == pytest.approx(2 - spread)
    assert first["high"] == pytest.approx(2 + spread)
    single = table[table["arm"] == "b"].iloc[0]
    assert single["low"] == single["mean"] == single["high"] == 7.0


def test_an_unknown_entry_is_told():
    with pytest.raises(ValueError, match="no entry 'val_n'"):
        prepare.arm_curves(history(), "val_n")
