"""Constants that a layer holds, in a file that TensorFlow writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import numpy as np


@contextlib.contextmanager
def plain_constants(model: keras.Model) -> Iterator[None]:
    """Hold tensors that are no variables as NumPy arrays, until the block ends.

    A traced function takes an eager tensor of its surroundings for an input, and so
    does the file: `keras.layers.Normalization` has its mean and variance there.

    Args:
        model: what is written.
    """
    import tensorflow as tf

    held = [
        (layer, name, value)
        for layer in model._flatten_layers()
        for name, value in vars(layer).items()
        if tf.is_tensor(value) and hasattr(value, "numpy")
    ]
    for layer, name, value in held:
        # Past Keras, which would look at what is assigned.
        vars(layer)[name] = np.asarray(value.numpy())
    try:
        yield
    finally:
        for layer, name, value in held:
            vars(layer)[name] = value
