"""What would train without a word and teach nothing, one sentence for each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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
        present = present_rows(inputs)
        if not present.any():
            found.append(
                f"{where}input of {name!r} is missing (NaN) on all {len(present)} "
                "rows: nothing trains it, and nothing learns from it."
            )
            continue
        labels = y.get(name) if isinstance(y, Mapping) else y
        if labels is None or name not in needed:
            continue
        sentence = _of_labels(losses[name], labels, present)
        found += [f"{where}{sentence}"] if sentence else []
    return found


def _of_labels(loss: MemberLoss, labels: Tensor, present: np.ndarray) -> str | None:
    known, name = known_labels(loss, labels), loss.name
    rows = np.any(known.reshape(len(known), -1), axis=1)
    if not rows.any():
        return (
            f"every label of {name!r} is unlabeled (-1 or NaN, {len(rows)} rows): its "
            "loss, which the objective reads, is 0 throughout."
        )
    used = rows & present
    if not used.any():
        return (
            f"{name!r} has labels on {rows.sum()} rows and inputs on {present.sum()}, "
            "and no row has both: its loss, which the objective reads, is 0 throughout."
        )
    if loss.kind not in (*CLASSES, MARGIN):
        # A network whose output is itself a loss is trained towards zeros; of an own
        # loss only its author knows what its labels are.
        return None
    counted = known & used.reshape(-1, *(1,) * (known.ndim - 1))
    values = to_numpy(labels).reshape(*known.shape, -1)[counted]
    if len(values) < 2 or np.any(values != values[0]):
        return None
    one = np.array2string(values[0], precision=4, threshold=6)
    if values[0].size == 1:
        one = f"{values[0][0]:.4g}"
    return (
        f"labels of {name!r} are of one class only ({one}, {len(values)} labels): "
        "there is nothing to tell apart."
    )
