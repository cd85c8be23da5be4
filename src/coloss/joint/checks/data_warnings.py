"""What would train without a word and teach nothing, one sentence for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from coloss.doubts import Learnable, data_doubt
from coloss.joint.checks.label_counts import known_labels, present_rows
from coloss.joint.inputs.arrays import to_numpy
from coloss.joint.supervision.member_loss import CLASSES, MARGIN, MemberLoss
from coloss.typing import ByMember, Nested, Tensor


def warn_of_data(
    losses: Mapping[str, MemberLoss],
    needed: frozenset[str],
    x: Mapping[str, Nested],
    y: ByMember,
    where: str = "",
) -> list[str]:
    """Return a sentence for each member that the data can teach nothing.

    Args:
        losses: the members' losses.
        needed: members whose loss the objective reads.
        x: inputs by member, checked arrays.
        y: labels, for all or by member; None without labels.
        where: prefix of the sentences, such as "validation data: ".
    """
    found = []
    for name, inputs in x.items():
        labels = y.get(name) if isinstance(y, Mapping) else y
        read = None if name not in needed else labels
        said = data_doubt(name, _learnable(losses.get(name), read, inputs))
        found += [f"{where}{said}"] if said else []
    return found


def _learnable(
    loss: MemberLoss | None, labels: Tensor | None, inputs: Nested
) -> Learnable:
    """Count what one member's rows have; labels are None where nobody reads them."""
    present = present_rows(inputs)
    rows, here = len(present), int(present.sum())
    if labels is None or loss is None or not here:
        return Learnable(rows, here)
    known = known_labels(loss, labels)
    labeled = np.any(known.reshape(len(known), -1), axis=1)
    used = labeled & present
    found = Learnable(rows, here, int(labeled.sum()), int(used.sum()))
    if not found.used or loss.kind not in (*CLASSES, MARGIN):
        # A network whose output is itself a loss is trained toward zeros; of an own
        # loss only its author knows what its labels are.
        return found
    read = known & used.reshape(-1, *(1,) * (known.ndim - 1))
    values = to_numpy(labels).reshape(*known.shape, -1)[read]
    if np.any(values != values[0]):
        return found
    only = np.array2string(values[0], precision=4, threshold=6)
    if values[0].size == 1:
        only = f"{values[0][0]:.4g}"
    return dataclasses.replace(found, only=only, labels=len(values))
