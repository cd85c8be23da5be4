"""Array data in the shape that Keras's trainers take: one label array a member.

Keras refuses sample weights for some outputs only, and class weights beside a
dict of labels; both are spelled out here, before it sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from coloss.joint.members import check_names
from coloss.joint.supervision.member_loss import DENSE, SPARSE, MemberLoss


def spell_out(
    names: tuple[str, ...],
    losses: dict[str, MemberLoss],
    y: Any,
    sample_weight: Any,
    class_weight: Any = None,
) -> tuple[Any, Any]:
    """Return labels and sample weights of equal structure.

    Args:
        names: the members.
        losses: their losses.
        y: None, one array, or a dict by member.
        sample_weight: None, one array, or a dict by member (members it leaves out
            have weight 1).
        class_weight: None, `{class: weight}` for all classifiers, or by member.

    Raises:
        ValueError: for an unknown member, or class weights of a regression.
    """
    if class_weight:
        sample_weight = _with_class_weight(
            names, losses, y, sample_weight, class_weight
        )
    if sample_weight is None or y is None:
        return y, sample_weight
    if not isinstance(y, Mapping) and not isinstance(sample_weight, Mapping):
        return y, sample_weight
    if not isinstance(y, Mapping):
        y = dict.fromkeys(names, y)
    check_names(
        sample_weight if isinstance(sample_weight, Mapping) else (),
        names,
        "`sample_weight`",
    )
    weights = {}
    for name, labels in y.items():
        given = sample_weight
        if isinstance(sample_weight, Mapping):
            given = sample_weight.get(name)
        rows = np.shape(labels)[0]
        weights[name] = np.ones(rows, "float32") if given is None else given
    return dict(y), weights


def _with_class_weight(
    names: tuple[str, ...],
    losses: dict[str, MemberLoss],
    y: Any,
    sample_weight: Any,
    class_weight: Mapping[Any, Any],
) -> dict[str, Any]:
    by_member = class_weight
    if not all(isinstance(value, Mapping) for value in class_weight.values()):
        by_member = {
            name: class_weight
            for name in names
            if name in losses and losses[name].kind in (SPARSE, DENSE)
        }
    check_names(by_member, names, "`class_weight`")
    weights = {}
    for name in names:
        given = sample_weight
        if isinstance(sample_weight, Mapping):
            given = sample_weight.get(name)
        labels = y.get(name) if isinstance(y, Mapping) else y
        if name in by_member and labels is not None:
            own = _class_weights(name, losses.get(name), labels, by_member[name])
            given = own if given is None else np.asarray(given) * own
        if given is not None:
            weights[name] = given
    return weights


def _class_weights(
    name: str, loss: MemberLoss | None, labels: Any, weights: Mapping[int, float]
) -> np.ndarray:
    if loss is None or loss.kind not in (SPARSE, DENSE):
        raise ValueError(
            f"`class_weight`: {name!r} is no classifier over several classes; give "
            "`sample_weight` instead."
        )
    values = keras.ops.convert_to_numpy(labels)
    if loss.kind == DENSE:
        values = np.where(
            np.isnan(values).any(-1), -1, np.nan_to_num(values).argmax(-1)
        )
    elif values.ndim > 1 and values.shape[-1] == 1:
        values = values[..., 0]
    found = np.ones(values.shape, "float32")
    for label, weight in weights.items():
        found[values == label] = weight
    return found
