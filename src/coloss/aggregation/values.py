"""Checking the numbers that configure an aggregator."""

from __future__ import annotations

import math
from typing import Any


def between(owner: Any, name: str, low: float, high: float = math.inf) -> float:
    """Return a field of an aggregator as a number in a range.

    Args:
        owner: the aggregator.
        name: of its field.
        low: least allowed.
        high: largest allowed; infinity: any finite number.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is not finite, or out of range.
    """
    value, what = getattr(owner, name), f"`{name}` of {type(owner).__name__}"
    if isinstance(value, bool) or not hasattr(type(value), "__float__"):
        raise TypeError(f"{what} must be a number; found {value!r}.")
    number = float(value)
    if not (math.isfinite(number) and low <= number <= high):
        most = "" if high == math.inf else f" and at most {high:g}"
        raise ValueError(
            f"{what} must be finite, at least {low:g}{most}; found {value!r}."
        )
    return number
