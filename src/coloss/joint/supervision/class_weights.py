"""`class_weight`: one weight for each class, looked up in every training batch.

Done in the step, where labels of all kinds arrive alike from arrays, datasets, loaders
and generators. Keras does it in the data, for one array of labels with one label a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from keras import ops

from coloss.joint.members import check_names
from coloss.joint.supervision.labels import Labels
from coloss.joint.supervision.member_loss import (
    BINARY,
    DENSE,
    REGRESSION,
    SPARSE,
    MemberLoss,
)
from coloss.typing import Tensor

ClassWeight: TypeAlias = Mapping[int, float] | Mapping[str, Mapping[int, float]] | None
"""What `fit(class_weight=)` takes: for all members, or by member."""

_WIDEST = 1_000_000


@dataclass(frozen=True)
class ClassWeights:
    """The weights of one member's classes.

    Attributes:
        member: its name, for messages.
        lowest: the lowest class that has a weight.
        table: weights of the classes from `lowest` on; 1 where none was given.
    """

    member: str
    lowest: int
    table: tuple[float, ...]

    def of(self, labels: Labels, loss: MemberLoss, rank: int) -> Tensor:
        """Return the weight of each position's class, float32.

        A label is rounded to a class, and of several values the largest is the class,
        as in Keras.

        Args:
            labels: the member's labels.
            loss: its loss, which says what a label is.
            rank: of its outputs.

        Raises:
            ValueError: if a label is several yes/no answers.
        """
        classes = self._classes(labels.values, loss, rank)
        # One entry of 1 on either side, for every class without a weight.
        table = np.asarray([1.0, *self.table, 1.0], "float32")
        index = ops.cast(classes, "int32") - (self.lowest - 1)
        index = ops.clip(index, 0, len(table) - 1)
        return ops.take(ops.convert_to_tensor(table), index, axis=0)

    def _classes(self, values: Tensor, loss: MemberLoss, rank: int) -> Tensor:
        if loss.kind == SPARSE:
            return ops.round(ops.cast(values, "float32"))
        if loss.kind == DENSE:
            return ops.argmax(values, axis=loss.axis)
        if len(values.shape) == rank and rank > 1:
            if values.shape[-1] == 1:
                values = ops.squeeze(values, axis=-1)
            elif loss.kind == BINARY:
                raise ValueError(
                    f"`class_weight`: a label of {self.member!r} is "
                    f"{values.shape[-1]} answers of yes or no, which have no one "
                    "class. Give `sample_weight` instead."
                )
            else:
                return ops.argmax(values, axis=-1)
        elif len(values.shape) == 2 and rank == 1:
            values = ops.squeeze(values, axis=-1)
        return ops.round(ops.cast(values, "float32"))


# No plain dict: Keras would wrap it as an attribute of a model.
NONE_WEIGHED: Mapping[str, ClassWeights] = MappingProxyType({})


def resolve_class_weights(
    class_weight: ClassWeight, names: tuple[str, ...], losses: Mapping[str, MemberLoss]
) -> Mapping[str, ClassWeights]:
    """Return the weights of each member's classes.

    Args:
        class_weight: None; `{class: weight}` for every member but those whose loss is
            that of a regression; or a dict of such dicts by member, these included.
        names: the members.
        losses: their losses.

    Raises:
        TypeError: if it is no dict of numbers.
        ValueError: for an unknown member, one without a loss, or if nobody is left.
    """
    if not class_weight:
        return NONE_WEIGHED
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            "`class_weight` must be a dict {class: weight}, or such dicts by member; "
            f"found {type(class_weight).__name__}."
        )
    by_member: Mapping[Any, Any] = class_weight
    if not all(isinstance(value, Mapping) for value in class_weight.values()):
        by_member = {
            name: class_weight
            for name in names
            if name in losses and losses[name].kind != REGRESSION
        }
    check_names(by_member, names, "`class_weight`")
    for name in by_member:
        if name not in losses:
            raise ValueError(f"`class_weight`: {name!r} has no loss to be weighed.")
    if not by_member:
        raise ValueError(
            "`class_weight`: every member has the loss of a regression. To weigh one "
            f'all the same, give {{"{names[0]}": {{...}}}}; else `sample_weight`.'
        )
    found = {name: _resolved(name, weights) for name, weights in by_member.items()}
    return MappingProxyType(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value)


def _resolved(name: str, weights: Mapping[int, float]) -> ClassWeights:
    found = {}
    for key, weight in weights.items():
        if not _is_number(key) or int(key) != key or not _is_number(weight):
            raise ValueError(
                f"`class_weight` of {name!r}: found {key!r}: {weight!r}; expected "
                "whole numbers of classes, and finite weights."
            )
        found[int(key)] = float(weight)
    if not found:
        return ClassWeights(name, 0, ())
    lowest, highest = min(found), max(found)
    if highest - lowest > _WIDEST:
        raise ValueError(
            f"`class_weight` of {name!r}: classes range from {lowest} to {highest}; "
            f"expected at most {_WIDEST} numbers."
        )
    table = tuple(found.get(key, 1.0) for key in range(lowest, highest + 1))
    return ClassWeights(name, lowest, table)
