"""Whole epochs as one program: many steps between two words from the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from coloss.checking import COUNT

if TYPE_CHECKING or keras.backend.backend() == "jax":
    from coloss.joint.epochs.fit_in_blocks import (
        in_blocks,
        test_function,
        train_function,
    )
elif keras.backend.backend() == "tensorflow":
    from coloss.joint.epochs.many_steps import (
        in_blocks,
        test_function,
        train_function,
    )
else:
    from coloss.joint.epochs.one_by_one import (
        in_blocks,
        test_function,
        train_function,
    )

__all__ = ["check_steps", "in_blocks", "test_function", "train_function"]


def check_steps(given: object) -> bool:
    """Check `steps_per_execution`, and return whether it is "auto".

    Raises:
        ValueError: for another word, or a number that counts no steps.
        TypeError: for what is neither.
    """
    if given == "auto":
        return True
    if isinstance(given, str):
        raise ValueError(
            '`steps_per_execution` must be "auto" or a number of steps; found '
            f"{given!r}."
        )
    COUNT.integer("`steps_per_execution`", given)
    return False
