"""Schedules: values, refusals, and what can be saved."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from coloss.weighting import (
    Cosine,
    Ramp,
    Schedule,
    Steps,
    from_config,
    to_config,
    value_at,
)

ALL = [Ramp(0, 1, epochs=10, delay=2), Cosine(1, 0, epochs=7), Steps({0: 1, 5: 0.1})]


def test_ramp_is_a_line_after_its_delay() -> None:
    ramp = Ramp(1, 3, epochs=4, delay=2)
    assert [ramp(e) for e in range(9)] == [1, 1, 1, 1.5, 2, 2.5, 3, 3, 3]


def test_cosine_meets_both_ends_and_the_middle() -> None:
    cosine = Cosine(1, 0, epochs=10)
    assert (cosine(0), cosine(10), cosine(50)) == (1.0, 0.0, 0.0)
    assert cosine(5) == pytest.approx(0.5)
    assert all(cosine(e) > cosine(e + 1) for e in range(10))


def test_steps_hold_from_their_epoch_on() -> None:
    steps = Steps({10: 0.5, 0: 1.0, 20: 0.1})
    assert [steps(e) for e in (0, 9, 10, 19, 20, 99)] == [1, 1, 0.5, 0.5, 0.1, 0.1]
    assert steps == Steps([10, 20], [1.0, 0.5, 0.1])
    assert Steps({0: 2.0})(7) == 2.0


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_round_trip_through_json(schedule: Schedule) -> None:
    again = from_config(json.loads(json.dumps(to_config(schedule, "w"))), "w")
    assert again == schedule
    assert type(schedule).from_config(schedule.get_config()) == schedule
    assert isinstance(schedule, Schedule)
    assert hash(schedule) == hash(again)


@pytest.mark.parametrize("number", [1, 0.5, np.float32(0.25), np.int64(3)])
def test_numbers_round_trip(number: float) -> None:
    assert from_config(json.loads(json.dumps(to_config(number, "w"))), "w") == number


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Ramp(0, 1, epochs=0),
            ValueError,
            "`epochs` of Ramp.*1 or more",
        ),
        (
            lambda: Ramp(0, 1, epochs=1.5),
            TypeError,
            "whole number.*found 1.5",
        ),
        (lambda: Ramp(0, 1, epochs=3, delay=-1), ValueError, "`delay` of Ramp"),
        (lambda: Ramp("a", 1, epochs=3), TypeError, "`start` of Ramp"),
        (lambda: Ramp(True, 1, epochs=3), TypeError, "`start` of Ramp"),
        (lambda: Cosine(0, float("nan"), epochs=3), ValueError, "`stop`.*finite"),
        (lambda: Steps({5: 1.0}), ValueError, "from epoch 0 on.*Add 0"),
        (lambda: Steps({}), ValueError, "from epoch 0 on"),
        (lambda: Steps({0: 1.0, -3: 2.0}), ValueError, "0 or more; found -3"),
        (lambda: Steps({0: 1.0}, [1.0]), TypeError, "a dict alone"),
        (lambda: Steps([5], [1.0]), ValueError, "one more than the epochs"),
        (lambda: Steps([5, 5], [1, 2, 3]), ValueError, "must rise"),
        (lambda: Steps(3), TypeError, "value by epoch"),
    ],
)
def test_refusals(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("value", [lambda epoch: 1.0, "0.5", None, [1.0]])
def test_what_cannot_be_saved_names_the_coefficient(value) -> None:
    with pytest.raises(TypeError, match="'w2' cannot be saved"):
        to_config(value, "w2")


@pytest.mark.parametrize("config", [{"schedule": "Rmap"}, {}, "x", None])
def test_unknown_configuration(config) -> None:
    with pytest.raises(ValueError, match=r"'w2'.*Ramp, Cosine, Steps"):
        from_config(config, "w2")


def test_a_subclass_is_not_saved_as_its_parent() -> None:
    kind = type("Ramp", (Ramp,), {})
    with pytest.raises(TypeError, match="cannot be saved"):
        to_config(kind(0, 1, epochs=2), "w")


def test_value_at() -> None:
    assert value_at(2, 5, "w") == 2.0
    assert value_at(Ramp(0, 1, epochs=10), 5, "w") == 0.5
    assert value_at(lambda epoch: np.float32(epoch), 3, "w") == 3.0
    with pytest.raises(ValueError, match="'w' at epoch 4 must be a finite number"):
        value_at(lambda epoch: float("inf"), 4, "w")
    with pytest.raises(TypeError, match="'w' at epoch 4 must be a finite number"):
        value_at(lambda epoch: "x", 4, "w")


def test_no_keras_is_imported() -> None:
    code = "import sys, coloss.weighting; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
