"""One rule for a number: the check and the message agree."""

from __future__ import annotations

import numpy as np
import pytest

from coloss.checking import COUNT, FINITE, NOT_NEGATIVE, POSITIVE, SHARE, NumberRule

INF, NAN = float("inf"), float("nan")
BELOW_1 = NumberRule(least=0, below=1)
EPOCHS = NumberRule(least=1, whole=True, unit="epochs")


@pytest.mark.parametrize(
    ("rule", "text", "right", "wrong"),
    [
        (FINITE, "a finite number", (-1, 0.0, 1e300), (INF, NAN)),
        (POSITIVE, "a number above 0", (1e-9, 3), (0, -1, INF, NAN)),
        (NOT_NEGATIVE, "a number, 0 or more", (0, 0.5), (-1e-9, INF)),
        (SHARE, "a number from 0 to 1", (0, 0.5, 1), (-0.1, 1.1, NAN)),
        (BELOW_1, "a number from 0 up to, not including, 1", (0, 0.99), (1, -0.1)),
        (COUNT, "a whole number, 1 or more", (1, 7), (0, -2)),
        (EPOCHS, "a whole number of epochs, 1 or more", (1,), (0,)),
    ],
)
def test_a_rule_and_its_words(rule, text, right, wrong):
    assert str(rule) == text
    read = rule.integer if rule.whole else rule.number
    for value in right:
        assert rule.holds(value)
        assert read("`x`", value) == value
    for value in wrong:
        assert not rule.holds(value)
        with pytest.raises(ValueError) as told:
            read("`x`", value)
        assert str(told.value) == f"`x` must be {text}; found {value!r}."


@pytest.mark.parametrize("value", ["1", None, True, [1.0], 1j, np.ones(2)])
def test_what_is_no_number_is_of_another_type(value):
    assert not FINITE.holds(value)
    for read in (FINITE.number, COUNT.integer):
        with pytest.raises(TypeError, match="`x` must be a"):
            read("`x`", value)


def test_numpys_numbers_are_numbers():
    assert FINITE.number("`x`", np.float32(0.5)) == 0.5
    assert FINITE.number("`x`", np.array(0.5)) == 0.5
    assert type(COUNT.integer("`x`", np.int64(3))) is int


def test_a_whole_float_is_whole_in_text_only():
    assert COUNT.holds(3.0) and not COUNT.holds(3.5)
    with pytest.raises(TypeError, match=r"found 3\.0"):
        COUNT.integer("`x`", 3.0)
