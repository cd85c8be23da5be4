"""How many rows and positions of a member count, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from coloss.joint.inputs.arrays import to_numpy
from coloss.joint.supervision.labels import read_labels
from coloss.joint.supervision.member_loss import MemberLoss
from coloss.typing import Nested, Shape, Tensor

_BYTES = 2**26
"""So many bytes of labels are read at a time: all may not fit on the device."""


@dataclass(frozen=True)
class LabelCounts:
    """Rows and positions of one member.

    Attributes:
        rows: all.
        missing: rows without an input.
        labeled: rows with a label.
        trained: rows with a label and an input: those that the loss is averaged over.
        positions: labels, where a row has one at each step or pixel; else `rows`.
        ignored: positions that count nowhere: unlabeled, of the class that the loss
            ignores, or padding.
    """

    rows: int
    missing: int
    labeled: int
    trained: int
    positions: int
    ignored: int

    @property
    def unlabeled(self) -> int:
        """Rows without a label."""
        return self.rows - self.labeled


def present_rows(x: Nested) -> np.ndarray:
    """Return which rows have an input: (rows,) bool.

    Args:
        x: one member's input: an array (rows, ...), or several.
    """
    leaves = [to_numpy(leaf) for leaf in keras.tree.flatten(x)]
    present = np.ones(len(leaves[0]), "bool")
    for leaf in leaves:
        if leaf.dtype.kind == "f" and np.isnan(leaf.min()):
            present &= ~np.isnan(leaf.reshape(len(leaf), -1)).all(axis=1)
    return present


def known_labels(
    loss: MemberLoss, labels: Tensor, outputs: Shape | None = None
) -> np.ndarray:
    """Return where labels are known, as the loss will read them.

    Args:
        loss: the member's loss.
        labels: (rows, ...), at least one row.
        outputs: shape of the member's outputs; None: as is usual for such labels.

    Returns:
        (rows,) or (rows, ...) bool, one value for each label.
    """
    return np.concatenate(list(_known_parts(loss, labels, outputs)))


def _known_parts(
    loss: MemberLoss, labels: Tensor, outputs: Shape | None
) -> Iterator[np.ndarray]:
    rows, bytes_a_row = len(labels), to_numpy(labels[:1]).nbytes
    size = max(1, _BYTES // max(1, bytes_a_row))
    for start in range(0, rows, size):
        part = labels[start : start + size]
        known = read_labels(part, loss, outputs).known
        if known is None:
            yield np.ones(len(part), "bool")
        else:
            yield to_numpy(known)


def count_labels(
    loss: MemberLoss,
    labels: Tensor,
    x: Nested,
    mask: np.ndarray | None = None,
    outputs: Shape | None = None,
) -> LabelCounts:
    """Count the rows and positions of one member.

    Args:
        loss: its loss.
        labels: its labels (rows, ...), at least one row.
        x: its input.
        mask: (rows, positions) bool, False at padding; None: no padding.
        outputs: shape of its outputs; None: as is usual for such labels.
    """
    known, present = known_labels(loss, labels, outputs), present_rows(x)
    if mask is not None and known.ndim == mask.ndim:
        known = known & mask
    labeled = known.reshape(len(known), -1).any(axis=1)
    return LabelCounts(
        rows=len(present),
        missing=int((~present).sum()),
        labeled=int(labeled.sum()),
        trained=int((labeled & present).sum()),
        positions=known.size,
        ignored=int(known.size - known.sum()),
    )
