"""Checks of the members' inputs: names, shapes, rows, and rows that are missing."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from coloss.joint.inputs.arrays import TEXT, is_tensor, is_text, to_numpy
from coloss.joint.members import check_names, layers_of
from coloss.names import counted
from coloss.typing import Nested, Tensor


def check_inputs(
    members: Mapping[str, keras.Model], x: Mapping[str, Nested], where: str = ""
) -> tuple[int, frozenset[str]]:
    """Check names, shapes, rows and partial NaN of the inputs.

    Args:
        members: the networks.
        x: arrays by member; nested for a member with several inputs.
        where: prefix of messages.

    Returns:
        The number of rows, and the members that have an input on all of them.

    Raises:
        ValueError: naming the member, what was found, and what was expected.
    """
    check_names(x, tuple(members), f"{where}`x`", complete=True)
    counts, complete = {}, set(members)
    for name, member in members.items():
        leaves = keras.tree.flatten(x[name])
        for index, leaf in enumerate(leaves):
            what = f"{where}input of {name!r}"
            if len(np.shape(leaf)) == 0:
                raise ValueError(
                    f"{what} must be an array (rows, ...); found {type(leaf).__name__}."
                )
            counts[name] = np.shape(leaf)[0]
            _check_shape(what, member, leaves)
            if counts[name] and _check_values(what, member, index, leaf):
                complete.discard(name)
    rows = max(counts.values())
    for name, count in counts.items():
        _check_count(count, rows, f"{where}input of {name!r}", counts)
    if rows == 0:
        raise ValueError(f"{where}the data has 0 rows; expected at least 1.")
    return rows, frozenset(complete)


def _check_count(count: int, rows: int, what: str, counts: dict[str, int]) -> None:
    if count != rows:
        listed = ", ".join(f"{name} {number}" for name, number in counts.items())
        raise ValueError(
            f"{what} has {counted(count, 'row')}; expected {rows} as the others (rows: "
            f"{listed}). A missing modality is a row of NaN."
        )


def _symbols(member: keras.Model) -> list[keras.KerasTensor]:
    """Return the inputs of a network as it was built; none where it does not say."""
    return (getattr(member, "inputs", None) if member.built else None) or []


def _check_shape(what: str, member: keras.Model, leaves: list[Tensor]) -> None:
    expected = _symbols(member)
    if len(expected) != len(leaves):
        return
    for tensor, leaf in zip(expected, leaves, strict=True):
        wanted, found = tuple(tensor.shape)[1:], tuple(np.shape(leaf))[1:]
        fits = len(wanted) == len(found) and all(
            size is None or size == other
            for size, other in zip(wanted, found, strict=True)
        )
        # Keras adds a last axis of 1 by itself.
        if not fits and wanted != (*found, 1):
            raise ValueError(f"{what} has rows of shape {found}; expected {wanted}.")


def _check_values(what: str, member: keras.Model, index: int, leaf: Tensor) -> bool:
    """Return whether rows are missing; refuse those that are in part, and text."""
    if is_tensor(leaf) and type(leaf).__module__.startswith("scipy."):
        return False
    values = to_numpy(leaf)
    if values.dtype.kind in TEXT:
        _check_text(what, member, index, values)
    if values.dtype.kind != "f" or not values.size:
        return False
    # NaN passes through a minimum: one look at the data where nothing is missing.
    least, most = values.min(), values.max()
    if np.isinf([least, most]).any() or (np.isnan(least) and np.isinf(values).any()):
        row = np.argwhere(np.isinf(values))[0][0]
        raise ValueError(
            f"{what}: row {row} has a value that is infinite. A missing modality is a "
            "row of NaN throughout; fill single values before training."
        )
    if not np.isnan(least):
        return False
    _check_missing(what, member, values)
    return True


def _check_text(what: str, member: keras.Model, index: int, values: np.ndarray) -> None:
    """Refuse text that the network or the backend cannot read."""
    expected, backend = _symbols(member), keras.backend.backend()
    reads = not expected or (
        index < len(expected) and str(expected[index].dtype) == "string"
    )
    texts = is_text(values)
    if reads and texts and backend == "tensorflow":
        return
    message = f"{what} has dtype {values.dtype}; expected numbers."
    if texts and (reads or not expected):
        message += (
            f" Networks read text on TensorFlow only (KERAS_BACKEND=tensorflow); on "
            f"{backend} give what a TextVectorization layer makes of it: "
            "layer(texts), outside of the network."
        )
    elif texts:
        message += " Give text as numbers, such as those of a TextVectorization layer."
    raise ValueError(message)


def _check_missing(what: str, member: keras.Model, values: np.ndarray) -> None:
    nan = np.isnan(values).reshape(len(values), -1)
    partly = np.flatnonzero(nan.any(axis=1) & ~nan.all(axis=1))
    if partly.size:
        row = partly[0]
        raise ValueError(
            f"{what}: row {row} has {int(nan[row].sum())} NaN among "
            f"{counted(nan.shape[1], 'value')} ({counted(partly.size, 'such row')}). A "
            "missing modality is a row of NaN throughout; fill single values "
            "before training."
        )
    normalizes = [
        layer.name
        for layer in layers_of(member)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if normalizes:
        missing = counted(int(nan.all(axis=1).sum()), "row")
        raise ValueError(
            f"{what} is missing on {missing}, and its layer "
            f"{normalizes[0]!r} normalizes over the batch: the empty rows would enter "
            "its statistics. Use LayerNormalization, or freeze the layer."
        )
