"""A wrong name is refused in one sentence, with the nearest right one."""

from __future__ import annotations

import pytest

from coloss.names import nearest, nearest_name, unknown

NAMES = ("acoustic", "visual", "Text")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("acustic", "acoustic"), ("text", "Text"), ("TEXT", "Text"), ("zzz", None)],
)
def test_the_nearest_name(name, expected):
    assert nearest_name(name, NAMES) == expected
    hint = "" if expected is None else f"; did you mean {expected!r}?"
    assert nearest(name, NAMES) == hint


def test_the_sentence():
    assert unknown("arm", "tought", ["taught", "alone"]) == (
        "no arm 'tought'; did you mean 'taught'? (arms: taught, alone)"
    )
    assert unknown("option", 3, ()) == "no option 3 (options: none)"
