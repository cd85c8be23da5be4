"""What a number must be: one rule, for the check and for the message."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import SupportsFloat, TypeGuard


@dataclass(frozen=True)
class NumberRule:
    """A finite number in a range.

    Attributes:
        least: the least value allowed; None: no limit.
        most: the greatest value allowed; None: no limit.
        above: a limit that must be exceeded; None: no limit.
        below: a limit that must not be reached; None: no limit.
        whole: whether it must be a whole number.
        unit: what is counted, such as "epochs".
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    whole: bool = False
    unit: str = ""

    def __str__(self) -> str:
        """Return the rule as it stands after "must be"."""
        noun = "a whole number" if self.whole else "a number"
        if self.unit:
            noun += f" of {self.unit}"
        if self.least is not None and self.most is not None:
            return f"{noun} from {self.least:g} to {self.most:g}"
        if self.least is not None and self.below is not None:
            return f"{noun} from {self.least:g} up to, not including, {self.below:g}"
        if self.least is not None:
            return f"{noun}, {self.least:g} or more"
        if self.above is not None:
            return f"{noun} above {self.above:g}"
        return "a whole number" if self.whole else "a finite number"

    def holds(self, value: object) -> bool:
        """Return whether a value obeys the rule; 3.0 counts as a whole number."""
        if not _is_real(value):
            return False
        number = float(value)
        return (
            math.isfinite(number)
            and (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
            and (not self.whole or number.is_integer())
        )

    def number(self, what: str, value: object) -> float:
        """Return a value as a float.

        Args:
            what: what it is, such as "`rate` of FAMO".
            value: a number, of Python, NumPy or a backend.

        Raises:
            TypeError: if it is no number.
            ValueError: if it does not obey the rule.
        """
        message = f"{what} must be {self}; found {value!r}."
        if isinstance(value, bool) or not isinstance(value, SupportsFloat):
            raise TypeError(message)
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(message) from error
        if not self.holds(number):
            raise ValueError(message)
        return number

    def integer(self, what: str, value: object) -> int:
        """Return a value as an integer; unlike in `holds`, 3.0 is none.

        Args:
            what: what it is, such as "`epochs`".
            value: an integer, of Python or NumPy.

        Raises:
            TypeError: if it is no integer.
            ValueError: if it does not obey the rule.
        """
        message = f"{what} must be {self}; found {value!r}."
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(message)
        if not self.holds(value):
            raise ValueError(message)
        return int(value)

    def set_field(self, owner: object, name: str) -> None:
        """Check a field of a frozen dataclass, and store it as a float or an int.

        Args:
            owner: the dataclass.
            name: of its field.

        Raises:
            TypeError: if it is no number.
            ValueError: if it does not obey the rule.
        """
        what = f"`{name}` of {type(owner).__name__}"
        read = self.integer if self.whole else self.number
        object.__setattr__(owner, name, read(what, getattr(owner, name)))


Rules = Mapping[str, NumberRule]
"""What the fields of a dataclass must be, by name."""

FINITE = NumberRule()
POSITIVE = NumberRule(above=0)
NOT_NEGATIVE = NumberRule(least=0)
SHARE = NumberRule(least=0, most=1)
COUNT = NumberRule(least=1, whole=True)
FROM_0 = NumberRule(least=0, whole=True)


def _is_real(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
