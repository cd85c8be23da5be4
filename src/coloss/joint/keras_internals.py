"""The only place that reads or calls what Keras keeps private.

Each name has a test in `tests/joint/test_keras_internals.py` that fails loudly when a
new Keras changes it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src.backend import get_keras_mask, set_keras_mask
from keras.src.backend.common.global_state import (
    get_global_attribute,
    set_global_attribute,
)
from keras.src.backend.config import is_nnx_enabled
from keras.src.random.seed_generator import (
    GLOBAL_SEED_GENERATOR,
    global_seed_generator,
)
from keras.src.trainers.data_adapters import get_data_adapter
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.data_adapters.array_slicing import (
    convert_to_sliceable,
    train_validation_split,
)
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.utils.io_utils import ask_to_proceed_with_overwrite
from keras.src.utils.module_utils import tensorflow

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


@contextmanager
def without_values() -> Iterator[None]:
    """Let variables that are made inside have shapes, and take no memory.

    They never get a value: what is made inside tells its size, and is thrown away.
    """
    before = get_global_attribute(_WAITING)
    set_global_attribute(_WAITING, [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        set_global_attribute(_WAITING, before or [])


_WAITING = "uninitialized_variables"
"""Where Keras notes variables that are to get their values later."""


def variable_scope(model: keras.Model) -> AbstractContextManager[object]:
    """Return the scope in which a model's optimizer may make its variables.

    On TensorFlow that of the strategy that the model was made under, which is no part
    of Keras's documented interface; elsewhere it does nothing.
    """
    strategy = getattr(model, "distribute_strategy", None)
    return nullcontext() if strategy is None else strategy.scope()


def replicas_of(model: keras.Model) -> int:
    """Return on how many replicas a model is trained, under TensorFlow's strategies."""
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else int(strategy.num_replicas_in_sync)


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


class ArraysInOrder(ArrayDataAdapter):
    """Arrays of which Keras's loop takes the rows that it is told.

    Args:
        rows: (x, y, sample_weight), arrays or None.
        size: of a batch.
        batches: yields the rows of each batch of an epoch.
    """

    def __init__(
        self,
        rows: tuple[Nested, Nested, Nested],
        size: int,
        batches: Callable[[], Iterator[np.ndarray | slice]],
    ) -> None:
        """Keep the arrays."""
        x, y, weight = rows
        super().__init__(x, y, sample_weight=weight, batch_size=size)
        self.batches = batches

    def arrays_for(self, backend: str) -> Nested:
        """Return what batches are cut from, as Keras cuts them for a backend."""
        return convert_to_sliceable(self._inputs, target_backend=backend)

    def get_torch_dataloader(self) -> Iterator[Nested]:
        """Return the batches of an epoch as PyTorch's tensors."""

        def cut(array: Any, indices: np.ndarray | slice) -> Tensor:
            taken = array.convert_to_torch_compatible(array[indices])
            return keras.ops.convert_to_tensor(taken)

        return self._get_iterator(cut, self.arrays_for("torch"))

    def _get_iterator(
        self, slice_and_convert_fn: Callable[..., Tensor], inputs: Nested
    ) -> Iterator[Nested]:
        for chosen in self.batches():
            cut = partial(slice_and_convert_fn, indices=chosen)
            yield tree.map_structure(cut, inputs, none_is_leaf=False)


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


STEP_STATE = frozenset({"_jax_state", "_jax_state_synced"})
"""What Keras sets on a model at every step on JAX.

In a dict of arrays Keras would look for layers, each time: a quarter of a small step.
"""


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


def global_seed() -> keras.random.SeedGenerator | None:
    """Return the generator behind `seed=None`; None: nobody has used it so far."""
    return get_global_attribute(GLOBAL_SEED_GENERATOR)


def make_global_seed() -> keras.random.SeedGenerator:
    """Return the generator behind `seed=None`, made if it is not there."""
    return global_seed_generator()


def start_at(model: keras.Model, epoch: int | None) -> None:
    """Let a `fit` whose callbacks are told of its begin start at an epoch, from 0.

    Args:
        model: a Keras model.
        epoch: None or 0: at what `fit` was told.
    """
    model._initial_epoch = epoch


_MONITOR = ("best",)
_SAVES = ("_batches_seen_since_last_saving", "_last_batch_seen")

CALLBACK_STATES: Mapping[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: (
        *_MONITOR,
        "wait",
        "stopped_epoch",
        "best_epoch",
        "best_weights",
    ),
    keras.callbacks.ReduceLROnPlateau: (*_MONITOR, "wait", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: (*_MONITOR, *_SAVES),
    keras.callbacks.BackupAndRestore: _SAVES,
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
}
"""In which attributes Keras's callbacks remember something from epoch to epoch."""


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Let Keras not import TensorFlow only to see whether there is something of it.

    On every backend Keras imports it to give it the seed, and to ask of each object
    that it saves whether it is TensorFlow's: seconds of processor time before the first
    step. Where nothing has imported it, nothing is. Else, and on TensorFlow, this does
    nothing.
    """
    if keras.backend.backend() == "tensorflow" or "tensorflow" in sys.modules:
        yield
        return
    kept = tensorflow._available
    tensorflow._available = False
    try:
        yield
    finally:
        tensorflow._available = kept


def set_random_seed(seed: int) -> None:
    """Set seeds as `keras.utils.set_random_seed` does; see `without_tensorflow`.

    TensorFlow gets the seed if it is there; one that is imported later has none.
    """
    with without_tensorflow():
        keras.utils.set_random_seed(seed)
