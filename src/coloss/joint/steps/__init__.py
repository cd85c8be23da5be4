"""Train steps that keep the last good weights, one module a backend."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import keras

from coloss.joint.autodiff import BACKENDS
from coloss.joint.steps.non_finite import (
    NonFiniteGuard,
    NonFiniteLossError,
    raise_if_not_finite,
)

if TYPE_CHECKING:
    from coloss.joint.base import StepBase

    class Steps(StepBase):
        """What the steps of all backends have in common."""

        guarded: bool
else:
    # `autodiff` has refused any other backend.
    Steps = import_module(f"{__name__}.{keras.backend.backend()}").Steps

__all__ = [
    "BACKENDS",
    "NonFiniteGuard",
    "NonFiniteLossError",
    "Steps",
    "raise_if_not_finite",
]
