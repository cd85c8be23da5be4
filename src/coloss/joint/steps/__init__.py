"""Train steps that keep the last good weights, one module a backend.

Only these modules import a backend.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import keras

from coloss.joint.steps.guard import (
    NonFiniteGuard,
    NonFiniteLossError,
    raise_if_not_finite,
)

BACKENDS = ("jax", "tensorflow", "torch")

if TYPE_CHECKING:
    from coloss.joint.steps.jax import Steps, head_rows, replica_scaled
else:
    if keras.backend.backend() not in BACKENDS:
        raise ImportError(
            f"coloss trains on one of {', '.join(BACKENDS)}; found the Keras backend "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND before importing Keras."
        )
    _module = import_module(f"{__name__}.{keras.backend.backend()}")
    Steps, replica_scaled = _module.Steps, _module.replica_scaled
    head_rows = _module.head_rows

GuardedSteps = Steps


def __getattr__(name: str) -> Any:
    """Load what needs the rest of `coloss.joint` when it is asked for."""
    if name == "summand_gradients":
        return import_module(f"{__name__}.flow").summand_gradients
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "GuardedSteps",
    "NonFiniteGuard",
    "NonFiniteLossError",
    "Steps",
    "head_rows",
    "raise_if_not_finite",
    "replica_scaled",
]
