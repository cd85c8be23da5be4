"""The only place that reads or calls what Keras keeps private.

Each name has a test in `tests/joint/test_keras_internals.py` that fails loudly when a
new Keras changes it.
"""

from __future__ import annotations

import keras
from keras.src.backend import get_keras_mask, set_keras_mask
from keras.src.utils.io_utils import ask_to_proceed_with_overwrite

from coloss.typing import FilePath, Nested, Tensor


def mask_of(value: Tensor) -> Tensor | None:
    """Return the mask that layers attached to their output.

    Args:
        value: a layer's output, (batch, positions, ...).

    Returns:
        (batch, positions) bool, False at padding; None where there is none.
    """
    return get_keras_mask(value)


def attach_mask(value: Tensor, mask: Tensor) -> None:
    """Attach a mask to a tensor, as a layer does to its output."""
    set_keras_mask(value, mask)


def may_overwrite(filepath: FilePath) -> bool:
    """Ask on the terminal whether a file may be replaced, as Keras's `save` asks."""
    return bool(ask_to_proceed_with_overwrite(filepath))


def producer_of(
    tensor: keras.KerasTensor,
) -> tuple[keras.Operation, list[keras.KerasTensor]]:
    """Return what made a symbolic tensor of a Functional model.

    Args:
        tensor: one of `model.outputs`, or an input of what made it.

    Returns:
        The layer or operation, and the symbolic tensors that it was called with.
    """
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, list(node.input_tensors)


def output_structure(layer: keras.layers.Layer) -> Nested:
    """Return what a layer returned when its network was put together.

    Args:
        layer: a layer of a network.

    Returns:
        Symbolic tensors in the layer's own structure (a tensor, dict, list), or None
        where the layer was never called on symbolic tensors.
    """
    nodes = layer._inbound_nodes
    if not nodes:
        return None
    arguments = nodes[0].arguments
    return layer.compute_output_spec(*arguments.args, **arguments.kwargs)


def sync_variables(model: keras.Model) -> None:
    """Give a model's variables their present values.

    During an epoch JAX holds them outside the variables. To be called by the thread
    that trains or evaluates, between two steps.

    Args:
        model: a Keras model.
    """
    if getattr(model, "_jax_state_synced", True) is False:
        model.jax_state_sync()
