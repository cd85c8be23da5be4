"""Successive halving: many points on a small budget, the best ones on more."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def rungs(
    points: int, most: int, factor: int = 3, least: int = 1
) -> list[tuple[int, int]]:
    """Return how many points each rung has, and its budget.

    With n rungs, rung i = 0, ..., n-1 has ceil(points / factor^i) points with budget
    most / factor^(n-1-i), rounded. n is the largest number for which the first budget
    is at least `least` and the last rung but one has more than one point.

    Args:
        points: to begin with.
        most: the budget of the last rung: epochs, or seeds.
        factor: by which points shrink and budgets grow, at least 2.
        least: the smallest budget.

    Returns:
        A pair (points, budget) a rung.

    Raises:
        ValueError: if a number is too small, or `least` exceeds `most`.

    Reference:
        Jamieson and Talwalkar 2016, arXiv:1502.07943.

    Examples:
        >>> rungs(9, 60)
        [(9, 7), (3, 20), (1, 60)]
    """
    for name, value, low in (("points", points, 1), ("factor", factor, 2)):
        if value < low:
            raise ValueError(f"`{name}` must be at least {low}; found {value}.")
    if not 1 <= least <= most:
        raise ValueError(
            f"`least` must be from 1 to {most} (the full budget); found {least}."
        )
    count = 1
    while points > factor ** (count - 1) and most / factor**count >= least:
        count += 1
    budgets = [max(least, round(most / factor**i)) for i in reversed(range(count))]
    return [(math.ceil(points / factor**i), b) for i, b in enumerate(budgets)]


def best(values: Sequence[float], keep: int, direction: str) -> list[int]:
    """Return the places of the best values, best first; NaN is worst.

    Args:
        values: one a point.
        keep: how many.
        direction: "max" where more is better, "min" where less is.
    """
    found = np.asarray(values, float)
    cost = np.where(np.isnan(found), np.inf, -found if direction == "max" else found)
    return np.argsort(cost, kind="stable")[:keep].tolist()
