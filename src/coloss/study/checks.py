"""What a study accepts as numbers, names and texts."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from coloss.names import nearest, unknown
from coloss.study.arms import Arm


def seeds(given: int | Iterable[int]) -> list[int]:
    """Return the seeds: 0, 1, ... where a number is given.

    Raises:
        TypeError, ValueError: for anything but whole numbers from 0, each once.
    """
    if isinstance(given, bool | str | float):
        raise TypeError(f"`seeds` must be a whole number or several; found {given!r}.")
    found = list(range(given)) if isinstance(given, numbers.Integral) else list(given)  # type: ignore[arg-type]
    if not found or len(set(found)) < len(found) or min(found) < 0:
        raise ValueError(
            f"`seeds` must be at least one whole number from 0, each once; found "
            f"{given!r}."
        )
    return [int(seed) for seed in found]


def baseline(given: str | None, arms: Mapping[str, Arm]) -> str:
    """Return the arm that others are compared with.

    Raises:
        ValueError: if there is no such arm.
    """
    if given is None:
        return "alone" if "alone" in arms else next(iter(arms))
    return known("`baseline`", given, arms)


def known(what: str, given: str, arms: Mapping[str, Any]) -> str:
    """Return the name of an arm.

    Raises:
        ValueError: if there is none of that name, with the nearest one.
    """
    if given not in arms:
        raise ValueError(f"{what}: {unknown('arm', given, arms)}.")
    return given


def one_of(what: str, given: str, choices: Sequence[str]) -> str:
    """Return a choice.

    Raises:
        ValueError: if it is none, with the nearest one.
    """
    if given not in choices:
        raise ValueError(
            f"`{what}` must be one of {', '.join(map(repr, choices))}; found {given!r}"
            f"{nearest(str(given), choices) or '.'}"
        )
    return given


def described(arm: Arm) -> str:
    """Return an arm as text; numbers and strings only, functions by name."""

    def text(value: object) -> str:
        if isinstance(value, Mapping):
            inner = ", ".join(f"{k}: {text(v)}" for k, v in value.items())
            return f"{{{inner}}}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(text, value))}]"
        if isinstance(value, str | int | float | bool) or value is None:
            return repr(value)
        if hasattr(value, "get_config"):
            config = value.get_config()
            if isinstance(value, keras.optimizers.Optimizer):
                # Keras counts: the second "adam" of a process is "adam_1".
                config = {k: v for k, v in config.items() if k != "name"}
            return f"{type(value).__name__}({text(config)})"
        return str(getattr(value, "__qualname__", type(value).__name__))

    return f"{arm.objective} with {text(arm.coefficients)}, {text(arm.compile)}"
