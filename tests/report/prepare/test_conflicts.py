"""Cosines between terms, as matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd

from coloss.report import prepare

COSINES = [("a", "s", "t", -0.5), ("a", "s", "u", 0.25), ("b", "s", "t", 0.9)]


def test_a_matrix_is_symmetric_and_tells_what_was_not_measured():
    matrix = prepare.conflict_matrix(COSINES, "a")
    assert matrix.index.tolist() == ["s", "t", "u"]
    expected = [[1, -0.5, 0.25], [-0.5, 1, np.nan], [0.25, np.nan, 1]]
    np.testing.assert_array_equal(matrix.to_numpy(), expected)
    frame = pd.DataFrame(COSINES, columns=["member", "first", "second", "cosine"])
    pd.testing.assert_frame_equal(prepare.conflict_matrix(frame, "a"), matrix)
    assert prepare.conflict_matrix(COSINES, "c").empty


def test_cosines_over_time_leave_gaps():
    flow = [
        {"epoch": 0, "term": "t", "learner": "a", "cosine": 0.5},
        {"epoch": 3, "term": "t", "learner": "a", "cosine": -0.5},
        {"epoch": 3, "term": "u", "learner": "b", "cosine": float("nan")},
    ]
    table = prepare.cosines_over_time(flow)
    assert table.index.tolist() == ["t at a", "u at b"]
    assert table.columns.tolist() == [1, 4]
    np.testing.assert_array_equal(table.to_numpy(), [[0.5, -0.5], [np.nan, np.nan]])
    assert prepare.cosines_over_time([]).empty
