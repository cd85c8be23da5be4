"""What can be trained and is hardly meant: its sentences, wherever they are told.

`JointModel.fit` counts arrays, the command line counts files without a network; what
they say of the same data is the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from coloss.names import counted

NORMALIZED = frozenset({"adam", "adamax", "nadam", "lion", "muon", "rmsprop", "adamw"})
"""Optimizers whose step is about as long as the rate, whatever the gradient."""

# At 1 every weight moves by about 1 in each step, where weights are seldom larger.
_MOST_NORMALIZED = 1.0
# The others' step follows the gradient, which may be small.
_MOST = 1000.0


@dataclass(frozen=True)
class Learnable:
    """What rows leave a member to learn.

    Attributes:
        rows: all, at least one.
        present: rows with an input.
        labeled: rows with a label; None where labels do not matter.
        used: rows with both.
        only: the one class that all labels of these rows are of, as text; None if
            there are several, or labels are no classes.
        labels: how many labels these rows have.
    """

    rows: int
    present: int
    labeled: int | None = None
    used: int = 0
    only: str | None = None
    labels: int = 0


def data_doubt(name: str, found: Learnable) -> str | None:
    """Return what keeps a member from learning, as a sentence; None if nothing does.

    Args:
        name: the member.
        found: what its rows have.
    """
    if not found.present:
        return (
            f"input of {name!r} is missing (NaN) on {_all(found.rows)}: nothing "
            "trains it, and nothing learns from it."
        )
    if found.labeled is None:
        return None
    if not found.labeled:
        return (
            f"every label of {name!r} is unlabeled (-1 or NaN, "
            f"{counted(found.rows, 'row')}): its loss, which the objective reads, is 0 "
            "throughout."
        )
    if not found.used:
        return (
            f"{name!r} has labels on {counted(found.labeled, 'row')} and inputs on "
            f"{found.present}, and no row has both: its loss, which the objective "
            "reads, is 0 throughout."
        )
    if found.only is not None and found.labels > 1:
        return (
            f"labels of {name!r} are of one class only ({found.only}, "
            f"{counted(found.labels, 'label')}): there is nothing to tell apart."
        )
    return None


def _all(rows: int) -> str:
    return "its only row" if rows == 1 else f"all {rows} rows"


def rate_doubt(
    whose: str, optimizer: str, rate: float, kinds: Collection[str] = ()
) -> str | None:
    """Return what is wrong with a learning rate, as a sentence; None if nothing is.

    Args:
        whose: as in "the learning rate of ...".
        optimizer: its name, for the sentence.
        rate: of the next step.
        kinds: names of the classes that it descends from, in small letters; by default
            its own name.
    """
    normalized = bool(NORMALIZED & set(kinds or (optimizer.lower(),)))
    if rate < (_MOST_NORMALIZED if normalized else _MOST):
        return None
    sentence = f"the learning rate of {whose} ({optimizer.lower()}) is {rate:g}"
    if normalized:
        sentence += ": each step moves every weight by about that much"
    return f"{sentence}. Usual are 0.0001 to 0.1."
