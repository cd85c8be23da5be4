"""The random generators that belong to no layer."""

from __future__ import annotations

import importlib
import random
import sys
from typing import Any

import keras
import numpy as np

from coloss.joint.keras_internals import global_seed, make_global_seed


def read() -> dict[str, object]:
    """Return the states of Python's, NumPy's, Keras's and PyTorch's generators.

    Keras draws the order of rows from NumPy's or PyTorch's, and shuffles the batches of
    a `PyDataset` by Python's.
    """
    seed = global_seed()
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "keras": None if seed is None else keras.ops.convert_to_numpy(seed.state.value),
        "torch": _torch().read() if "torch" in sys.modules else None,
    }


def write(states: dict[str, Any]) -> None:
    """Set what `read` returned."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    if states["keras"] is not None:
        make_global_seed().state.assign(states["keras"])
    if states["torch"] is not None and "torch" in sys.modules:
        _torch().write(**states["torch"])


def _torch() -> Any:
    return importlib.import_module("coloss.checkpoint.torch")
