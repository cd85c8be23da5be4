"""Checks of labels and sample weights, one sentence for each thing found wrong."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from coloss.joint.inputs.arrays import TEXT, to_numpy
from coloss.joint.members import FUSED, check_names
from coloss.joint.supervision.member_loss import (
    BINARY,
    CLASSES,
    CUSTOM,
    DENSE,
    SPARSE,
    MemberLoss,
)
from coloss.names import counted
from coloss.typing import ByMember, Shape, Tensor


def check_labels(
    members: Mapping[str, keras.Model],
    losses: dict[str, MemberLoss],
    outputs: Mapping[str, Tensor],
    needed: frozenset[str],
    rows: int,
    y: ByMember = None,
    sample_weight: ByMember = None,
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
                "reads. Give labels, -1 (integers) or NaN rows where unlabeled."
            )
    complete = set()
    for name, labels in by_name.items():
        _check_rows(labels, rows, f"{where}`y` of {name!r}")
        if name in losses:
            found = to_numpy(labels)
            _check_labels(losses[name], found, outputs[name].shape, where)
            if _labeled_throughout(losses[name], found):
                complete.add(name)
    weights = sample_weight if isinstance(sample_weight, Mapping) else {}
    check_names(weights, tuple(members), f"{where}`sample_weight`")
    if sample_weight is not None and not weights:
        weights = {"all members": sample_weight}
    for name, weight in weights.items():
        what = f"{where}`sample_weight` of {name!r}"
        _check_rows(weight, rows, what)
        if not np.all(np.isfinite(to_numpy(weight).astype("float64"))):
            raise ValueError(f"{what} has values that are NaN or infinite.")
    return frozenset(complete)


def _check_rows(values: Tensor, rows: int, what: str) -> None:
    shape = np.shape(values)
    if not shape or shape[0] != rows:
        found = counted(shape[0], "row") if shape else type(values).__name__
        raise ValueError(f"{what} has {found}; the inputs have {rows}.")


def _check_labels(
    loss: MemberLoss, labels: np.ndarray, shape: Shape, where: str
) -> None:
    what = f"{where}labels of {loss.name!r}"
    if labels.dtype.kind in TEXT:
        raise ValueError(
            f"{what} have dtype {labels.dtype}; expected numbers. Names of classes "
            "become numbers with np.unique(labels, return_inverse=True)[1], or "
            ".cat.codes of a pandas categorical."
        )
    if labels.dtype.kind == "f" and np.isinf(labels).any():
        row = np.argwhere(np.isinf(labels))[0][0]
        raise ValueError(f"{what}: row {row} has a value that is infinite.")
    labels, shape = _classes_last(loss, labels, shape)
    if loss.kind == SPARSE:
        _check_classes(what, loss, labels, shape)
    elif loss.kind != CUSTOM:
        _check_distribution(what, loss.kind, labels, shape)
    if labels.dtype.kind == "f" and labels.ndim > 1:
        nan = np.isnan(labels)
        partly = np.flatnonzero(nan.any(axis=-1).ravel() & ~nan.all(axis=-1).ravel())
        if partly.size:
            raise ValueError(
                f"{what}: row {partly[0]} is NaN in part "
                f"({counted(partly.size, 'such row')}). An unlabeled row is NaN "
                "throughout."
            )


def _classes_last(
    loss: MemberLoss, labels: np.ndarray, shape: Shape
) -> tuple[np.ndarray, Shape]:
    """Return labels and the outputs' shape with the axis of the classes last."""
    if loss.kind not in CLASSES or loss.axis in (-1, len(shape) - 1):
        return labels, shape
    rest = list(shape)
    width = rest.pop(loss.axis)
    if loss.kind != SPARSE and labels.ndim == len(shape):
        labels = np.moveaxis(labels, loss.axis, -1)
    return labels, (*rest, width)


def _labeled_throughout(loss: MemberLoss, labels: np.ndarray) -> bool:
    """Return whether no label is missing; False where that is hard to tell."""
    if not labels.size:
        return False
    if loss.ignore_class is not None and np.any(labels == loss.ignore_class):
        return False
    least = labels.min()  # NaN if any is.
    if labels.dtype.kind == "f" and loss.kind not in (SPARSE, BINARY):
        return not np.isnan(least)
    return bool(least >= 0)


def _check_classes(
    what: str, loss: MemberLoss, labels: np.ndarray, shape: Shape
) -> None:
    classes = shape[-1]
    positions = len(shape) - 1
    shapes = (positions, positions + 1) if labels.shape[-1] == 1 else (positions,)
    if labels.ndim not in shapes:
        raise ValueError(
            f"{what} have shape {labels.shape}; a sparse loss expects one integer a "
            f"row. For one-hot labels use loss='categorical_crossentropy'."
        )
    known = _known(labels)
    if loss.ignore_class is not None:
        known &= labels != loss.ignore_class
    if np.any(labels[known] != np.round(labels[known])):
        raise ValueError(f"{what} are no whole numbers; a sparse loss expects classes.")
    if classes is not None:
        expected = f"0 to {classes - 1} for {counted(classes, 'output')}"
        _check_range(what, labels, known, classes - 1, expected)


def _known(labels: np.ndarray) -> np.ndarray:
    """Return where a label is a number: the shape of `labels`, bool."""
    if labels.dtype.kind == "f":
        return ~np.isnan(labels)
    return np.ones(labels.shape, "bool")


def _check_range(
    what: str, labels: np.ndarray, known: np.ndarray, most: int, expected: str
) -> None:
    """Refuse labels below -1 or above `most`, with the row and value of the first."""
    outside = known & ((labels < -1) | (labels > most))
    if not outside.any():
        return
    place = np.argwhere(outside)[0]
    first, rows = labels[tuple(place)], outside.reshape(len(labels), -1).any(axis=1)
    values = labels[known]
    raise ValueError(
        f"{what} range from {_short(values.min())} to {_short(values.max())}; expected "
        f"{expected}, or -1 where unlabeled. The first is {_short(first)} in row "
        f"{place[0]} ({counted(int(rows.sum()), 'such row')})."
    )


def _short(value: float) -> str:
    return f"{value:.6g}"


def _check_distribution(what: str, kind: str, labels: np.ndarray, shape: Shape) -> None:
    if len(shape) == 1:  # Outputs (rows,): one value a row, with or without an axis.
        shape = (*shape, 1)
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
            f"{counted(width or 0, 'output')}.{hint}"
        )
    if kind == BINARY:
        _check_range(what, labels, _known(labels), 1, "0 to 1")
    if kind == BINARY and not flat:
        unknown = labels < 0
        if np.any(unknown.any(axis=-1) & ~unknown.all(axis=-1)):
            raise ValueError(
                f"{what}: a row is -1 in part. An unlabeled row is -1 throughout."
            )
