"""A batch of the training data for callbacks that measure on one."""

from __future__ import annotations

import keras
import numpy as np

from coloss.joint.inputs.arrays import is_array_data
from coloss.typing import ByMember, Callbacks, Nested

ROWS = 256


def show_batch(
    callbacks: Callbacks, x: object, y: ByMember, sample_weight: ByMember
) -> None:
    """Call `take_batch(batch)` of every callback that has it.

    Args:
        callbacks: as given to `fit`.
        x: as given to `fit`.
        y: labels, where `x` is arrays.
        sample_weight: weights, where `x` is arrays.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        given = callbacks.callbacks
    else:
        given = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in given:
        if hasattr(callback, "take_batch"):
            callback.take_batch(first_batch(x, y, sample_weight))


def first_batch(
    x: object, y: ByMember, sample_weight: ByMember
) -> tuple[Nested, ...] | None:
    """Return (x, y, sample_weight) of some rows; None: not without taking them.

    Of arrays it takes rows from all over: they may be sorted.
    """
    if is_array_data(x):
        rows = len(keras.tree.flatten(dict(x))[0])
        chosen = np.unique(np.linspace(0, rows - 1, min(ROWS, rows)).astype(int))
        return keras.tree.map_structure(
            lambda array: None if array is None else keras.ops.take(array, chosen, 0),
            (dict(x), y, sample_weight),
        )
    if isinstance(x, keras.utils.PyDataset):
        return keras.utils.unpack_x_y_sample_weight(x[0])
    if type(x).__module__.startswith("tensorflow.") and hasattr(x, "take"):
        batch = next(iter(x.take(1).as_numpy_iterator()))
        return keras.utils.unpack_x_y_sample_weight(batch)
    return None
