"""Labels and outputs whose ranks differ by a last axis of one entry."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
from keras import ops

from coloss.typing import Tensor


def same_rank(labels: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with the same rank, as Keras hands them to a loss function.

    (rows,) beside (rows, 1) becomes (rows, 1) on both sides; of higher ranks the last
    axis of one entry goes. Without this, (rows,) and (rows, 1) broadcast to
    (rows, rows), every row beside every other.

    Args:
        labels: (batch, ...).
        outputs: (batch, ...).
    """
    if _one_more(labels, outputs):
        if len(outputs.shape) == 1:
            return labels, ops.expand_dims(outputs, -1)
        return ops.squeeze(labels, axis=-1), outputs
    if _one_more(outputs, labels):
        if len(labels.shape) == 1:
            return ops.expand_dims(labels, -1), outputs
        return labels, ops.squeeze(outputs, axis=-1)
    return labels, outputs


def _one_more(wide: Tensor, narrow: Tensor) -> bool:
    """Whether `wide` has one axis more, at the end, of one entry."""
    return len(wide.shape) == len(narrow.shape) + 1 and wide.shape[-1] == 1


def uncrossed(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return a user's function that never sets rows beside other rows.

    It is given labels and outputs as Keras hands them over. Only where that would
    broadcast rows against each other, they are brought to the same rank first.

    Args:
        function: of (labels, outputs), to values (batch, ...).
    """

    @functools.wraps(function)
    def called(labels: Tensor, outputs: Tensor) -> Tensor:
        one_more = _one_more(labels, outputs) or _one_more(outputs, labels)
        if one_more and _crosses(function, labels, outputs):
            labels, outputs = same_rank(labels, outputs)
        return function(labels, outputs)

    return called


def _crosses(function: Callable[..., Tensor], labels: Tensor, outputs: Tensor) -> bool:
    """Whether a function takes 3 labels beside 5 outputs: then it broadcasts them.

    Shapes only; nothing is computed. A function that sets label i beside output i
    fails, in whatever way its backend says so.
    """

    def symbol(tensor: Tensor, rows: int) -> keras.KerasTensor:
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        return keras.KerasTensor((rows, *tensor.shape[1:]), dtype)

    probe = _Shapes(function)
    try:
        probe.compute_output_spec(symbol(labels, 3), symbol(outputs, 5))
    except Exception:  # The backends raise errors of five types for two sizes.
        return False
    return True


class _Shapes(keras.Operation):
    """A function, asked for the shape of what it returns."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def call(self, labels: Tensor, outputs: Tensor) -> Tensor:
        return self.function(labels, outputs)
