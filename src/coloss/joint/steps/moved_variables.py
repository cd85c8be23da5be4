"""Which variables a forward pass assigns, so that a bad step has to restore them."""

from __future__ import annotations

import keras


def moved_by_forward(model: keras.Model) -> list[keras.Variable]:
    """Return the variables that layers assign in a forward pass or in the loss.

    Frozen weights are not among them: only what layers made as not trainable (moving
    averages of a BatchNormalization, the state of a weighting).

    Args:
        model: a built Keras model.

    Returns:
        The variables, each once.
    """
    found = {
        id(variable): variable
        for layer in model._flatten_layers()
        for variable in layer._non_trainable_variables
    }
    return list(found.values())
