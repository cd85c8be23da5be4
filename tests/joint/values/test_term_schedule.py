"""From which epoch to which a term counts."""

from __future__ import annotations

import pytest

from coloss.joint.values.term_schedule import factor_at


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({}, [1, 1, 1, 1]),
        ({"start": 2}, [0, 0, 1, 1]),
        ({"stop": 2}, [1, 1, 0, 0]),
        ({"start": 1, "stop": 3}, [0, 1, 1, 0]),
        ({"warmup": 3}, [0.25, 0.5, 0.75, 1]),
        ({"start": 1, "warmup": 1}, [0, 0.5, 1, 1]),
    ],
)
def test_the_factor_by_epoch(window, expected):
    assert [factor_at(epoch, **window) for epoch in range(4)] == expected
