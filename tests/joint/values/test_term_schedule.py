"""From which epoch to which a term counts."""

from __future__ import annotations

import pytest

from coloss import Objective
from coloss.joint.values.term_schedule import TermSchedule, factor_at
from coloss.objective import reach


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


@pytest.mark.backend
def test_each_term_has_the_factor_of_its_own_window():
    text = (
        "a + b + distill(b >> a, stop=2) + distill(a >> b) + sp(b >> a, start=1)"
        " + pkt(b >> a, warmup=1)"
    )
    bound = Objective(text).bind(["a", "b"])
    stopped, always, *others = reach.transfer_calls(bound.expression)
    found = TermSchedule(bound)
    assert found.factor(always) is None
    assert found.epoch is None
    for epoch, expected in [(0, [1, 0, 0.5]), (1, [1, 1, 1]), (2, [0, 1, 1])]:
        if epoch:
            found.move(epoch)
        factors = [float(found.factor(term)) for term in (stopped, *others)]
        assert factors == expected
    assert not any(weight.trainable for weight in found.weights)


@pytest.mark.backend
def test_the_epoch_is_kept_where_it_is_asked_for():
    found = TermSchedule(counted=True)
    assert float(found.epoch) == 0
    found.move(3)
    assert float(found.epoch) == 3
    assert [weight.trainable for weight in found.weights] == [False]
    assert not TermSchedule().weights
