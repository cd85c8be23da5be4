"""Gradients of several values at once, one module a backend."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import keras

BACKENDS = ("jax", "tensorflow", "torch")

if TYPE_CHECKING:
    from coloss.joint.autodiff.jax import (
        ValuesAndGradients,
        across_replicas_sum,
        head_rows,
        replicas,
        run_once,
        undrawn,
    )
else:
    if keras.backend.backend() not in BACKENDS:
        raise ImportError(
            f"coloss trains on one of {', '.join(BACKENDS)}; found the Keras backend "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND before importing Keras."
        )
    _module = import_module(f"{__name__}.{keras.backend.backend()}")
    ValuesAndGradients, replicas = _module.ValuesAndGradients, _module.replicas
    head_rows, run_once = _module.head_rows, _module.run_once
    across_replicas_sum, undrawn = _module.across_replicas_sum, _module.undrawn

__all__ = [
    "BACKENDS",
    "ValuesAndGradients",
    "across_replicas_sum",
    "head_rows",
    "replicas",
    "run_once",
    "undrawn",
]
