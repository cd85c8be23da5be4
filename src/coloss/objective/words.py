"""What a word of the objective language is: its kind, arguments and options."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from coloss.objective.printer import ATOM, OptionValue
from coloss.typing import Tensor

POINTWISE, BATCH, DETACH, TRANSFER = "pointwise", "batch", "detach", "transfer"

Range = tuple[float, float]
"""The least and the greatest value that something can take."""

Derivative = Callable[..., tuple[float, ...]]
"""From the arguments, as floats, to the value and the derivative by each of them."""

Interval = Callable[..., Range]
"""From the range of each argument to the range of the value."""


@dataclass(frozen=True)
class Option:
    """A keyword option: its default and the rule a value must obey."""

    default: OptionValue
    rule: str
    accepts: Callable[[object], bool]


@dataclass(frozen=True)
class Function:
    """One word of the language.

    Attributes:
        name: the word.
        kind: pointwise (per row), batch (one value a batch), detach, or transfer.
        arguments: how many positional arguments it takes; None: one or more.
        options: keyword options, for transfer terms.
        members: whether bare members may stand in the place of an edge.
        signed: whether a transfer term can be negative, such as a log-likelihood.
    """

    name: str
    kind: str
    arguments: int | None = 1
    options: dict[str, Option] = field(default_factory=dict)
    members: str = "none"
    signed: bool = False


@dataclass(frozen=True)
class Domain:
    """The numbers for which a function is defined: those above `least`.

    Attributes:
        least: where the domain begins.
        closed: whether `least` belongs to it.
    """

    least: float
    closed: bool

    @property
    def rule(self) -> str:
        """What an argument must be, in words."""
        return f"{self.least:g} or above" if self.closed else f"above {self.least:g}"


@dataclass(frozen=True)
class Notation:
    """How a call is typeset: what stands before and after its arguments.

    Attributes:
        opened: markup before the arguments.
        closed: markup after them.
        precedence: how tightly the whole binds, as in `coloss.objective.printer`.
    """

    opened: str
    closed: str
    precedence: int = ATOM


@dataclass(frozen=True, kw_only=True)
class Pointwise(Function):
    """A function of numbers, applied row by row.

    This one entry is all that the library knows of the function. Rows without a value
    are replaced by 1 before the arithmetic, so the value and the derivatives at 1
    must be finite.

    Attributes:
        value: `value(ops, *tensors)`, written with the functions of `keras.ops`, which
            are handed in so that reading an objective needs no Keras.
        derivative: the value and the derivative by each argument, as floats. It may
            raise ValueError or ZeroDivisionError where the function is undefined, and
            OverflowError where it exceeds every float.
        interval: the range of the value from the range of each argument. It may be
            too wide, never too narrow. `coloss.objective.pointwise` has `rising`,
            `even` and `corners` for the usual shapes.
        domain: where it is defined; None: everywhere.
        on_a_gap: what it does to a difference of two losses: "one-sided" (acts on one
            sign more than on the other, as relu), "two-sided" (falls and rises again,
            as abs), or "other". It decides which warning `explain` gives where a
            network is trained to fail.
        latex: how it is typeset; None: as a word before parentheses.
        mathml: the same for MathML.
    """

    kind: str = POINTWISE
    value: Callable[..., Tensor]
    derivative: Derivative
    interval: Interval
    domain: Domain | None = None
    on_a_gap: Literal["one-sided", "two-sided", "other"] = "other"
    latex: Notation | None = None
    mathml: Notation | None = None

    @property
    def is_steep_at_the_end(self) -> bool:
        """Whether the slope is infinite where a closed domain begins, as of sqrt."""
        if self.domain is None or not self.domain.closed:
            return False
        return math.isinf(self.derivative(self.domain.least)[1])
