"""Rows on which a member's input is missing: rows of NaN.

Such rows are replaced by zeros before the network sees them, so that no NaN can
reach a value or a gradient; their outputs are NaN and count nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import ops

from coloss.typing import Nested, Tensor


@dataclass(frozen=True)
class Complete:
    """Of what nothing is missing in the data of a `fit`: no step need look.

    Attributes:
        inputs: entries of `x` that are there on every row.
        labels: members that have a label on every row.
    """

    inputs: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()

    def both(self, other: Complete) -> Complete:
        """Return what is complete in both."""
        return Complete(self.inputs & other.inputs, self.labels & other.labels)


def clean(inputs: Nested) -> tuple[Nested, Tensor | None]:
    """Replace missing rows by zeros.

    Args:
        inputs: one tensor (batch, ...), or a nested structure of such tensors.

    Returns:
        The cleaned inputs, and which rows are present: (batch,) bool, or None
        where the dtype cannot hold a NaN. A row is missing when it is NaN
        throughout in any of the member's float inputs.
    """
    leaves = keras.tree.flatten(inputs)
    floats = [leaf for leaf in leaves if _is_float(leaf)]
    if not floats:
        return inputs, None

    def replaced() -> list[Tensor]:
        present = _present(floats[0])
        for leaf in floats[1:]:
            present = ops.logical_and(present, _present(leaf))
        return [*(replace_rows(leaf, present, 0) for leaf in leaves), present]

    def whole() -> list[Tensor]:
        return [*leaves, ops.ones((ops.shape(floats[0])[0],), dtype="bool")]

    # One sum tells whether there is a NaN at all; wide inputs seldom have any, and
    # looking at each row, and copying, would be felt in a short step.
    total = sum(ops.sum(ops.cast(leaf, "float32")) for leaf in floats)
    *cleaned, present = ops.cond(ops.isnan(total), replaced, whole)
    return keras.tree.pack_sequence_as(inputs, cleaned), present


def rows_present(outputs: Tensor) -> Tensor:
    """Return which rows of a network's outputs come from an input: (batch,) bool.

    Args:
        outputs: (batch, ...); rows without an input are NaN throughout.
    """
    return _present(outputs)


def _is_float(leaf: Tensor) -> bool:
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(leaf.dtype))


def _present(leaf: Tensor) -> Tensor:
    known = ops.logical_not(ops.isnan(leaf))
    if len(leaf.shape) == 1:
        return known
    return ops.any(known, axis=tuple(range(1, len(leaf.shape))))


def replace_rows(values: Tensor, keep: Tensor | None, filler: float) -> Tensor:
    """Return `values` with the rows outside `keep` set to `filler`.

    Args:
        values: (batch, ...).
        keep: (batch,) bool, or None to keep all.
        filler: what the other rows hold; no gradient passes through them.
    """
    if keep is None:
        return values
    shape = (-1,) + (1,) * (len(values.shape) - 1)
    filled = ops.full_like(values, filler)
    return ops.where(ops.reshape(keep, shape), values, filled)


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Return the rows in both masks; None is every row."""
    if first is None or second is None:
        return second if first is None else first
    return ops.logical_and(first, second)
