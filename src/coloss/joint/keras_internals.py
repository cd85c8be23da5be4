"""The only place that reads or calls what Keras keeps private.

Each name has a test in `tests/joint/test_keras_internals.py` that fails loudly when a
new Keras changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src.backend import get_keras_mask, set_keras_mask
from keras.src.backend.config import is_nnx_enabled
from keras.src.trainers.data_adapters import get_data_adapter
from keras.src.trainers.data_adapters.array_slicing import train_validation_split
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
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


def variable_scope(model: keras.Model) -> AbstractContextManager[object]:
    """Return the scope in which a model's optimizer may make its variables.

    On TensorFlow that of the strategy that the model was made under, which is no part
    of Keras's documented interface; elsewhere it does nothing.
    """
    strategy = getattr(model, "distribute_strategy", None)
    return nullcontext() if strategy is None else strategy.scope()


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


DEFAULT_BATCH = 32
"""Rows of a batch where nobody says."""


class OneTurn(DataAdapter):
    """Data that Keras's loop takes as one batch an epoch: a word, and no rows.

    Args:
        word: what the train or test function is given instead of a batch.
    """

    def __init__(self, word: str) -> None:
        """Keep the word."""
        self.word = word

    def get_jax_iterator(self) -> Iterator[dict[str, Any]]:
        """Return the only batch of an epoch."""
        # An array, since on a GPU Keras puts batches on the device ahead of time.
        return iter([{self.word: np.zeros((), "float32")}])

    @property
    def num_batches(self) -> int:
        """Return 1."""
        return 1

    @property
    def batch_size(self) -> None:
        """Return None: there are no rows."""

    has_partial_batch = False
    partial_batch_size = None


def whole_batch(x: Nested, y: Nested, sample_weight: Nested) -> tuple[Nested, ...]:
    """Return all rows as the one batch that Keras would make of them for JAX.

    Args:
        x: arrays, in any structure.
        y: arrays, in any structure, or None.
        sample_weight: the same.

    Returns:
        (x, y, sample_weight), (x, y) or x, dtypes as a step takes them.
    """
    rows = next(len(a) for a in tree.flatten(x) if a is not None)
    adapter = get_data_adapter(x, y, sample_weight, batch_size=rows)
    return next(iter(adapter.get_jax_iterator()))


def split_rows(arrays: Nested, share: float) -> tuple[Any, Any]:
    """Return arrays as Keras's `validation_split` divides them: first part, last part.

    Args:
        arrays: a structure of arrays or None.
        share: of the rows in the last part.
    """
    return train_validation_split(arrays, validation_split=share)


def hold_state(model: keras.Model, state: tuple[list[Tensor], ...]) -> None:
    """Say where the values of a model's variables are, in the middle of an epoch.

    Args:
        model: a Keras model on JAX.
        state: lists of arrays, as a train step or a test step returns them.
    """
    trainable, other, *optimizer, metrics = state
    held = {
        "trainable_variables": trainable,
        "non_trainable_variables": other,
        "optimizer_variables": optimizer[0] if optimizer else None,
        "metrics_variables": metrics,
    }
    # Keras would look through it for layers, which takes long.
    object.__setattr__(model, "_jax_state", held)
    model._jax_state_synced = False


def sync_held_state(model: keras.Model) -> None:
    """Do what Keras's `jax_state_sync` does, without a look at each array.

    Args:
        model: a Keras model on JAX whose steps return arrays of the variables' shapes
            and dtypes.
    """
    held = getattr(model, "_jax_state", None)
    if not held or model._jax_state_synced:
        return
    for kind, values in held.items():
        if values:
            owner = model.optimizer if kind == "optimizer_variables" else model
            name = "variables" if kind == "optimizer_variables" else kind
            set_values(getattr(owner, name), values)
    model._jax_state_synced = True


def set_values(variables: Iterable[keras.Variable], values: Iterable[Tensor]) -> None:
    """Give variables arrays of their own shape and dtype, without a look at them.

    Args:
        variables: of a model on one device.
        values: one each.
    """
    for variable, value in zip(variables, values, strict=True):
        variable._value = value


def held_state(
    model: keras.Model, state: tuple[list[Tensor], ...]
) -> tuple[list[Tensor], ...]:
    """Return the state to go on training with.

    Args:
        model: a Keras model on JAX.
        state: as it was given to `hold_state`; the variables hold another one where
            somebody has read or set them since.
    """
    if not model._jax_state_synced:
        return state
    kinds = ("trainable", "non_trainable", "optimizer", "metrics")
    found = model._get_jax_state(**{f"{kind}_variables": True for kind in kinds})
    model._jax_state_synced = False
    return found


def traces_with_flax() -> bool:
    """Return whether Keras keeps its variables in Flax's manner (NNX)."""
    return bool(is_nnx_enabled())


def profiles_batches(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback is a `TensorBoard` that profiles certain batches."""
    return bool(getattr(callback, "_should_trace", False))
