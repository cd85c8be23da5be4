"""Trainable: a coefficient that gradient descent moves with the networks.

Imports no Keras.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from coloss.checking import POSITIVE, Rules
from coloss.objective.analysis import TYPICAL
from coloss.objective.derivative import leaves
from coloss.objective.dual import Point, evaluate
from coloss.objective.expression import Call, Expression, Name
from coloss.objective.functions import FUNCTIONS
from coloss.objective.reach import transfer_calls
from coloss.objective.words import DETACH
from coloss.registry import Configured

_GRID = tuple(10.0**power for power in range(-4, 5))
_STEP = 1e-3


@dataclass(frozen=True)
class Trainable(Configured):
    r"""A positive coefficient that is trained: $w = \mathrm{softplus}(v)$.

    v moves with the networks, by the same optimizer. That is refused where descent
    has nowhere to stop. The derivative of the objective by w, at typical losses, must
    be negative for a small w or positive for a large one, so that there is an optimum
    between:

    - `w*a`: the derivative is the loss, which is positive: w would fall to 0, and the
      term with it.
    - `w*(a - b)`: w would fall to 0, or grow without end, as the sign may be.
    - `exp(-s)*a + s`, `a/s + log(s)`, `w*a - log(w)`: have an optimum, and are allowed.

    Args:
        value: w before the first step, above 0.

    Raises:
        TypeError: if `value` is no number.
        ValueError: if it is not above 0.
    """

    value: float = 1.0

    rules: ClassVar[Rules] = {"value": POSITIVE}
    is_trained: ClassVar[bool] = True

    @property
    def raw(self) -> float:
        """The trained number v, of which softplus is the value."""
        return raw_of(self.value)


def raw_of(value: float) -> float:
    """Return v with softplus(v) = value, for a value above 0."""
    return value if value > 30.0 else math.log(math.expm1(value))


def check(
    name: str,
    expression: Expression,
    members: Sequence[str],
    coefficients: Mapping[str, float],
) -> None:
    """Refuse a trained coefficient that descent would carry away.

    Args:
        name: the coefficient.
        expression: the bound objective.
        members: the networks' names.
        coefficients: every coefficient's starting value.

    Raises:
        ValueError: with the reason.
    """
    places = set(_places(expression, name))
    if places != {False}:
        raise ValueError(
            f"coefficient {name!r} is Trainable, but stands within stop() in the "
            f"objective `{expression}`, where it gets no gradient. Give a number there."
            if places
            else f"coefficient {name!r} is Trainable, but the objective "
            f"`{expression}` does not read it: it would never move."
        )
    ends = [
        tuple(_slope(expression, name, w, coefficients, losses, term) for w in _GRID)
        for losses in _points(expression, members)
        for term in (TYPICAL if transfer_calls(expression) else TYPICAL[:1])
    ]
    known = [e for e in ends if not any(math.isnan(slope) for slope in e)]
    if any(slopes[-1] < 0 for slopes in known):
        raise ValueError(
            f"coefficient {name!r} is Trainable, but in `{expression}` descent would "
            "make it grow without end: the objective falls as it grows, at typical "
            f"losses. {_MEND}"
        )
    if all(slopes[0] >= 0 for slopes in known):
        raise ValueError(
            f"coefficient {name!r} is Trainable, but in `{expression}` descent would "
            "drive it to 0: the objective rises with it, at all typical losses, and "
            f"the term would go with it. {_MEND}"
        )


_MEND = (
    "Give it a price, as in exp(-s)*loss + s or w*loss - log(w); or take "
    'weighting="uncertainty", a schedule, or a number.'
)


def _places(node: Expression, name: str, held: bool = False) -> Iterator[bool]:
    """Yield, for each place where a coefficient stands, whether `stop` holds it."""
    if isinstance(node, Name):
        if node.role == "coefficient" and node.identifier == name:
            yield held
        return
    if isinstance(node, Call) and FUNCTIONS[node.function].kind == DETACH:
        held = True
    for child in node.children:
        yield from _places(child, name, held)


def _points(expression: Expression, members: Sequence[str]) -> list[dict[str, float]]:
    read = {leaf.identifier for leaf in leaves(expression) if isinstance(leaf, Name)}
    names = [name for name in members if name in read]
    if len(names) > 4:
        return [dict.fromkeys(names, level) for level in TYPICAL] + [
            {n: TYPICAL[-1] if n == name else TYPICAL[0] for n in names}
            for name in names
        ]
    return [
        dict(zip(names, levels, strict=True))
        for levels in itertools.product(TYPICAL, repeat=len(names))
    ]


def _slope(
    expression: Expression,
    name: str,
    value: float,
    coefficients: Mapping[str, float],
    losses: Mapping[str, float],
    term: float,
) -> float:
    """Return the objective's rise over a small relative step of the coefficient."""
    up, down = (
        evaluate(
            expression, Point({**coefficients, name: value * factor}, losses, term)
        ).value
        for factor in (1.0 + _STEP, 1.0 - _STEP)
    )
    rise = up - down
    noise = 1e-12 * max(abs(up), abs(down))
    return 0.0 if abs(rise) <= noise else rise
