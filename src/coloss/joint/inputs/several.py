"""`Inputs`: which entries of `x` a member reads, and what if one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from coloss.checking import NumberRule
from coloss.names import nearest

MISSING = ("drop", "zero")
"""What may happen to a row that lacks an input of a member."""

_RATE = NumberRule(least=0, below=1)


@dataclass(frozen=True, init=False)
class Inputs:
    """The entries of `x` that a member reads.

    Args:
        *keys: names of entries of `x`: of members, whose input the member then reads,
            too, or any other. A network whose inputs are named as the keys gets them by
            name, any other one as a list in this order; of a single key it gets the
            entry itself.
        missing: what happens to a row that lacks one of them: "drop", the member does
            not see the row; "zero", zeros stand in the place of what is missing, and
            only a row that lacks all of them is not seen.
        dropout: the probability with which an input that is there is replaced by zeros
            for a row of a training step (modality dropout). One input of each row,
            drawn at random, always stays. With `missing="zero"` the network so learns
            to do with what it gets where an input is missing.

    Raises:
        TypeError: if a key is no text.
        ValueError: for no key, one that is given twice, and a wrong `missing` or
            `dropout`.

    Examples:
        >>> import coloss
        >>> coloss.Inputs("acoustic", "visual", missing="zero", dropout=0.2)
        Inputs('acoustic', 'visual', missing='zero', dropout=0.2)
    """

    keys: tuple[str, ...]
    missing: str
    dropout: float

    def __init__(self, *keys: str, missing: str = "drop", dropout: float = 0.0) -> None:
        """Check the arguments; nothing is known of members yet."""
        for key in keys:
            if not isinstance(key, str):
                raise TypeError(
                    'the keys of `Inputs` are names, as in Inputs("acoustic", '
                    f'"visual"); found {key!r}.'
                )
        if not keys:
            raise ValueError(
                '`Inputs` names no entry of `x`; write Inputs("acoustic", "visual").'
            )
        twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
        if twice:
            raise ValueError(f"`Inputs` names {twice[0]!r} twice.")
        if missing not in MISSING:
            raise ValueError(
                '`missing` of Inputs must be "drop" or "zero"; found '
                f"{missing!r}{nearest(missing, MISSING)}"
            )
        object.__setattr__(self, "keys", tuple(keys))
        object.__setattr__(self, "missing", missing)
        object.__setattr__(
            self, "dropout", _RATE.number("`dropout` of Inputs", dropout)
        )

    def __repr__(self) -> str:
        """Return how it is written."""
        words = [repr(key) for key in self.keys]
        if self.missing != "drop":
            words.append(f"missing={self.missing!r}")
        if self.dropout:
            words.append(f"dropout={self.dropout:g}")
        return f"Inputs({', '.join(words)})"

    def __str__(self) -> str:
        """Return it in words, as `explain` and `summary` say it."""
        words = ", ".join(self.keys)
        if len(self.keys) > 1:
            words += {
                "drop": "; a row that lacks one is not seen",
                "zero": "; zeros where one is missing",
            }[self.missing]
        if self.dropout:
            words += (
                f"; each left out of {100 * self.dropout:g} % of the rows in training"
            )
        return words

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal object."""
        return {
            "keys": list(self.keys),
            "missing": self.missing,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make an object from its configuration."""
        options = {key: value for key, value in config.items() if key != "keys"}
        return cls(*config["keys"], **options)
