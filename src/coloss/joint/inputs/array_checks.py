"""Checks of array data before training, one sentence for each thing found wrong.

Only arrays can be looked at as a whole. Batches from a `tf.data.Dataset`, a loader
or a generator are checked for names and shapes when they arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from coloss.joint.members import FUSED, check_names, layers_of
from coloss.joint.supervision.member_loss import (
    BINARY,
    CUSTOM,
    DENSE,
    SPARSE,
    MemberLoss,
)

Arrays = Any


def is_array_data(x: Any) -> bool:
    """Return whether `x` is a dict of arrays, as opposed to a dataset."""
    return isinstance(x, Mapping)


def check_labels(
    members: dict[str, keras.Model],
    losses: dict[str, MemberLoss],
    outputs: dict[str, Any],
    needed: frozenset[str],
    rows: int,
    y: Any = None,
    sample_weight: Any = None,
    where: str = "",
) -> frozenset[str]:
    """Refuse labels and weights that could not be trained on.

    Args:
        members: the networks.
        losses: their losses.
        outputs: symbolic outputs by member, for their shapes.
        needed: members whose labels the objective reads.
        rows: of the inputs, from `check_inputs`.
        y: labels: one array, or by member.
        sample_weight: one array, or by member.
        where: prefix of messages, such as "validation data: ".

    Returns:
        The members that have a label on all rows.

    Raises:
        ValueError: naming the member, what was found, and what was expected.
    """
    if y is None:
        if losses:
            raise ValueError(
                f"{where}`y` is missing; expected labels, or -1 or NaN "
                "rows where there are none."
            )
        return frozenset()
    by_name = y if isinstance(y, Mapping) else dict.fromkeys(members, y)
    check_names(by_name, (*members, FUSED), f"{where}`y`")
    for name in sorted(needed):
        if name not in by_name:
            raise ValueError(
                f"{where}`y` has no labels for {name!r}, whose loss the objective "
                "reads. Give labels, -1 (integers) or NaN rows where unlabelled."
            )
    complete = set()
    for name, labels in by_name.items():
        _check_rows(labels, rows, f"{where}`y` of {name!r}")
        if name in losses:
            found = np.asarray(labels)
            _check_labels(losses[name], found, outputs[name].shape, where)
            if _labelled_throughout(losses[name], found):
                complete.add(name)
    weights = sample_weight if isinstance(sample_weight, Mapping) else {}
    check_names(weights, tuple(members), f"{where}`sample_weight`")
    if sample_weight is not None and not weights:
        weights = {"all members": sample_weight}
    for name, weight in weights.items():
        what = f"{where}`sample_weight` of {name!r}"
        _check_rows(weight, rows, what)
        if not np.all(np.isfinite(np.asarray(weight, "float64"))):
            raise ValueError(f"{what} has values that are NaN or infinite.")
    return frozenset(complete)


def check_inputs(
    members: dict[str, keras.Model], x: Mapping[str, Any], where: str = ""
) -> tuple[int, frozenset[str]]:
    """Check names, shapes, rows and partial NaN of the inputs.

    Args:
        members: the networks.
        x: inputs by member; nested for a member with several inputs.
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
        for leaf in leaves:
            if len(np.shape(leaf)) == 0:
                raise ValueError(
                    f"{where}input of {name!r} must be an array (rows, ...); found "
                    f"{type(leaf).__name__}."
                )
            counts[name] = np.shape(leaf)[0]
            _check_shape(name, member, leaves, where)
            if counts[name] and _check_missing(name, member, leaf, where):
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
            f"{what} has {count} rows; expected {rows} as the others (rows: {listed}). "
            "A missing modality is a row of NaN."
        )


def _check_rows(values: Any, rows: int, what: str) -> None:
    shape = np.shape(values)
    if not shape or shape[0] != rows:
        found = f"{shape[0]} rows" if shape else type(values).__name__
        raise ValueError(f"{what} has {found}; the inputs have {rows}.")


def _check_shape(name: str, member: keras.Model, leaves: list[Any], where: str) -> None:
    expected = getattr(member, "inputs", None) if member.built else None
    if not expected or len(expected) != len(leaves):
        return
    for tensor, leaf in zip(expected, leaves, strict=True):
        wanted, found = tuple(tensor.shape)[1:], tuple(np.shape(leaf))[1:]
        fits = len(wanted) == len(found) and all(
            size is None or size == other
            for size, other in zip(wanted, found, strict=True)
        )
        # Keras adds a last axis of 1 by itself.
        if not fits and wanted != (*found, 1):
            raise ValueError(
                f"{where}input of {name!r} has rows of shape {found}; "
                f"expected {wanted}."
            )


def _check_missing(name: str, member: keras.Model, leaf: Any, where: str) -> bool:
    """Return whether rows are missing; refuse those that are in part."""
    values = np.asarray(leaf)
    if values.dtype.kind != "f":
        if values.dtype.kind in "OUS":
            raise ValueError(
                f"{where}input of {name!r} has dtype {values.dtype}; expected numbers."
            )
        return False
    # NaN passes through a minimum: one look at the data where nothing is missing.
    if not values.size or not np.isnan(values.min()):
        return False
    nan = np.isnan(values).reshape(len(values), -1)
    partly = np.flatnonzero(nan.any(axis=1) & ~nan.all(axis=1))
    if partly.size:
        row = partly[0]
        raise ValueError(
            f"{where}input of {name!r}: row {row} has {int(nan[row].sum())} NaN among "
            f"{nan.shape[1]} values ({partly.size} such rows). A missing modality is a "
            "row of NaN throughout; fill single values before training."
        )
    normalises = [
        layer.name
        for layer in layers_of(member)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if normalises:
        raise ValueError(
            f"{where}input of {name!r} is missing on {int(nan.all(axis=1).sum())} "
            f"rows, and its layer {normalises[0]!r} normalises over the batch: the "
            "empty rows would enter its statistics. Use LayerNormalization, or freeze "
            "the layer."
        )
    return True


def _check_labels(
    loss: MemberLoss, labels: np.ndarray, shape: tuple[int | None, ...], where: str
) -> None:
    what = f"{where}labels of {loss.name!r}"
    if labels.dtype.kind in "OUS":
        raise ValueError(f"{what} have dtype {labels.dtype}; expected numbers.")
    if loss.kind == SPARSE:
        _check_classes(what, labels, shape)
    elif loss.kind != CUSTOM:
        _check_distribution(what, loss.kind, labels, shape)
    if labels.dtype.kind == "f" and labels.ndim > 1:
        nan = np.isnan(labels)
        partly = np.flatnonzero(nan.any(axis=-1).ravel() & ~nan.all(axis=-1).ravel())
        if partly.size:
            raise ValueError(
                f"{what}: row {partly[0]} is NaN in part ({partly.size} such rows). An "
                "unlabelled row is NaN throughout."
            )


def _labelled_throughout(loss: MemberLoss, labels: np.ndarray) -> bool:
    """Return whether no label is missing; False where that is hard to tell."""
    if not labels.size:
        return False
    least = labels.min()  # NaN if any is.
    if labels.dtype.kind == "f" and loss.kind not in (SPARSE, BINARY):
        return not np.isnan(least)
    return bool(least >= 0)


def _check_classes(
    what: str, labels: np.ndarray, shape: tuple[int | None, ...]
) -> None:
    classes = shape[-1]
    positions = len(shape) - 1
    shapes = (positions, positions + 1) if labels.shape[-1] == 1 else (positions,)
    if labels.ndim not in shapes:
        raise ValueError(
            f"{what} have shape {labels.shape}; a sparse loss expects one integer a "
            f"row. For one-hot labels use loss='categorical_crossentropy'."
        )
    known = labels[~np.isnan(labels)] if labels.dtype.kind == "f" else labels
    if known.size and np.any(known != np.round(known)):
        raise ValueError(f"{what} are no whole numbers; a sparse loss expects classes.")
    if classes is None or not known.size:
        return
    if known.min() < -1 or known.max() >= classes:
        raise ValueError(
            f"{what} range from {int(known.min())} to {int(known.max())}; expected 0 "
            f"to {classes - 1} for {classes} outputs, or -1 where unlabelled."
        )


def _check_distribution(
    what: str, kind: str, labels: np.ndarray, shape: tuple[int | None, ...]
) -> None:
    width = shape[-1]
    same = labels.ndim == len(shape) and labels.shape[-1] == width
    # Of one output the labels may be flat, as in Keras.
    flat = kind != DENSE and width == 1 and labels.ndim == len(shape) - 1
    if not same and not flat:
        hint = ""
        if kind == DENSE and labels.dtype.kind in "iu":
            hint = " For integer classes use loss='sparse_categorical_crossentropy'."
        raise ValueError(
            f"{what} have shape {labels.shape}; expected (rows, {width}) for its "
            f"{width} outputs.{hint}"
        )
    if kind == BINARY and labels.size:
        known = labels[~np.isnan(labels)] if labels.dtype.kind == "f" else labels
        if known.size and (known.max() > 1 or known.min() < -1):
            raise ValueError(
                f"{what} range from {known.min()} to {known.max()}; expected 0 to 1, "
                "or -1 where unlabelled."
            )
    if kind == BINARY and not flat:
        unknown = labels < 0
        if np.any(unknown.any(axis=-1) & ~unknown.all(axis=-1)):
            raise ValueError(
                f"{what}: a row is -1 in part. An unlabelled row is -1 throughout."
            )
