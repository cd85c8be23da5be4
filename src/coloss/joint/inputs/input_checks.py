"""Checks of the members' inputs: names, shapes, rows, and rows that are missing."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from coloss.joint.inputs.arrays import TEXT, is_tensor, is_text, to_numpy
from coloss.joint.inputs.assembly import Assembly
from coloss.joint.inputs.input_order import symbols_of
from coloss.joint.members import layers_of
from coloss.joint.recorded import Recorded
from coloss.names import counted
from coloss.typing import Nested, Tensor

Missing = dict[str, np.ndarray]
"""By key of `x`, which rows are missing: (rows,) bool; no entry: none."""


def check_inputs(
    members: Mapping[str, keras.Model],
    x: Mapping[str, Nested],
    assembly: Assembly,
    where: str = "",
    *,
    complete: bool = True,
) -> tuple[int, frozenset[str]]:
    """Check names, shapes, rows and partial NaN of the inputs.

    Args:
        members: the networks that will be run.
        x: arrays by key; nested for a member with several inputs of its own.
        assembly: which entries of `x` the members read.
        where: prefix of messages.
        complete: whether every entry of `x` must be there.

    Returns:
        The number of rows, and the entries of `x` that are there on all of them.

    Raises:
        ValueError: naming the member, what was found, and what was expected.
    """
    assembly.check_keys(x, f"{where}`x`", complete)
    counts: dict[str, int] = {}
    missing: Missing = {}
    for key, value in x.items():
        what = f"{where}input of {key!r}"
        for leaf in keras.tree.flatten(value):
            if len(np.shape(leaf)) == 0:
                raise ValueError(
                    f"{what} must be an array (rows, ...); found {type(leaf).__name__}."
                )
            counts[key] = np.shape(leaf)[0]
            gone = _missing(what, leaf) if counts[key] else None
            if gone is not None:
                missing[key] = missing.get(key, False) | gone
    for name, member in members.items():
        _check_member(name, member, x, assembly, where)
    rows = max(counts.values())
    for key, count in counts.items():
        _check_count(count, rows, f"{where}input of {key!r}", counts)
    if rows == 0:
        raise ValueError(f"{where}the data has 0 rows; expected at least 1.")
    for name, member in members.items():
        gone = _not_seen(name, missing, assembly)
        if gone is not None:
            _check_statistics(f"{where}input of {name!r}", member, gone)
    return rows, frozenset(key for key in x if key not in missing)


def _check_count(count: int, rows: int, what: str, counts: dict[str, int]) -> None:
    if count != rows:
        listed = ", ".join(f"{name} {number}" for name, number in counts.items())
        raise ValueError(
            f"{what} has {counted(count, 'row')}; expected {rows} as the others (rows: "
            f"{listed}). A missing modality is a row of NaN."
        )


def _check_member(
    name: str,
    member: keras.Model,
    x: Mapping[str, Nested],
    assembly: Assembly,
    where: str,
) -> None:
    """Compare what a member reads with the inputs of its network."""
    keys, expected = assembly.order(name, member), symbols_of(member)
    leaves = [
        (key, leaf) for key in keys if key in x for leaf in keras.tree.flatten(x[key])
    ]
    several = name in assembly.inputs and all(key in x for key in keys)
    if several and expected and len(expected) != len(leaves):
        raise ValueError(
            f"{where}{name!r} reads {counted(len(leaves), 'array')} "
            f"({', '.join(key for key, _ in leaves)}), and its network has "
            f"{counted(len(expected), 'input')}."
        )
    for place, (key, leaf) in enumerate(leaves):
        what = f"{where}input of {name!r}"
        if name in assembly.inputs:
            what = f"{where}input {key!r} of {name!r}"
        dtype = getattr(leaf, "dtype", None)
        # A tensor of TensorFlow has a dtype without a kind.
        if getattr(dtype, "kind", "") in TEXT or "string" in str(dtype):
            _check_text(what, member, place, to_numpy(leaf))
        if isinstance(member, Recorded):
            member.check(what, to_numpy(leaf))
        if len(expected) == len(leaves):
            _check_shape(what, expected[place], leaf)


def _check_shape(what: str, symbol: keras.KerasTensor, leaf: Tensor) -> None:
    wanted, found = tuple(symbol.shape)[1:], tuple(np.shape(leaf))[1:]
    fits = len(wanted) == len(found) and all(
        size is None or size == other for size, other in zip(wanted, found, strict=True)
    )
    # Keras adds a last axis of 1 by itself.
    if not fits and wanted != (*found, 1):
        raise ValueError(f"{what} has rows of shape {found}; expected {wanted}.")


def _missing(what: str, leaf: Tensor) -> np.ndarray | None:
    """Return which rows are missing, None where none is; refuse those that are in part.

    Args:
        what: for messages.
        leaf: (rows, ...).
    """
    if is_tensor(leaf) and type(leaf).__module__.startswith("scipy."):
        return None
    values = to_numpy(leaf)
    if values.dtype.kind != "f" or not values.size:
        return None
    # NaN passes through a minimum: one look at the data where nothing is missing.
    least, most = values.min(), values.max()
    if np.isinf([least, most]).any() or (np.isnan(least) and np.isinf(values).any()):
        row = np.argwhere(np.isinf(values))[0][0]
        raise ValueError(
            f"{what}: row {row} has a value that is infinite. A missing modality is a "
            "row of NaN throughout; fill single values before training."
        )
    if not np.isnan(least):
        return None
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
    return nan.all(axis=1)


def _not_seen(name: str, missing: Missing, assembly: Assembly) -> np.ndarray | None:
    """Return the rows that a member does not see: (rows,) bool; None: it sees all."""
    found = assembly.reads(name)
    here = [missing[key] for key in found if key in missing]
    if name in assembly.inputs and assembly.inputs[name].missing == "zero":
        return np.all(here, axis=0) if len(here) == len(found) else None
    return np.any(here, axis=0) if here else None


def _check_text(what: str, member: keras.Model, index: int, values: np.ndarray) -> None:
    """Refuse text that the network or the backend cannot read."""
    expected, backend = symbols_of(member), keras.backend.backend()
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


def _check_statistics(what: str, member: keras.Model, gone: np.ndarray) -> None:
    """Refuse missing rows where a layer would take them into its statistics."""
    normalizes = [
        layer.name
        for layer in layers_of(member)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if normalizes:
        missing = counted(int(gone.sum()), "row")
        raise ValueError(
            f"{what} is missing on {missing}, and its layer "
            f"{normalizes[0]!r} normalizes over the batch: the empty rows would enter "
            "its statistics. Use LayerNormalization, or freeze the layer."
        )
