"""Whether many steps can be taken without a look at each, and were harmless.

To look at every gradient before it is used takes a tenth of a step where weights are
many. A block of steps may instead be taken at once, from a state that is kept: if what
comes out is not finite, the block is taken once more from there, with a look at each
step.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops
from keras.optimizers import Optimizer

from coloss.joint.steps.moved_variables import moved_by_forward
from coloss.joint.steps.overflow import (
    RANGE,
    are_known,
    inner_optimizers,
    scales_loss,
)
from coloss.typing import Tensor


def shows_later(optimizer: Optimizer, variables: Sequence[keras.Variable]) -> bool:
    """Return whether weights and slots tell after many steps that one was bad.

    A number that is not finite stays in the common optimizers' sums for good. What
    may hide it is excluded: values that are clipped or replaced, constraints, and an
    optimizer that skips bad steps itself.

    Args:
        optimizer: of the model, built.
        variables: that it moves.
    """
    parts = inner_optimizers(optimizer)
    return (
        not scales_loss(optimizer)
        and are_known(optimizer, variables)
        and all(part.clipvalue is None for part in parts)
        and all(
            variable.constraint is None
            and not getattr(variable, "overwrite_with_gradient", False)
            for variable in variables
        )
    )


def is_sound(
    model: keras.Model,
    before: Sequence[list[Tensor]],
    after: Sequence[list[Tensor]],
) -> Tensor:
    """Return whether steps left weights, slots and states finite; a scalar bool.

    Args:
        model: whose variables are held.
        before: trainable, other and optimizer variables before the steps.
        after: the same after them.
    """
    moved = {id(variable) for variable in moved_by_forward(model)}
    flags = [ops.ones((), "bool")]
    flags += [_within(array) for array in (*after[0], *after[2]) if _is_float(array)]
    for variable, old, new in zip(
        model.non_trainable_variables, before[1], after[1], strict=True
    ):
        if id(variable) in moved and _is_float(new):
            was_lost = ops.logical_not(ops.isfinite(old))
            flags.append(ops.all(ops.logical_or(ops.isfinite(new), was_lost)))
    return ops.all(ops.stack(flags))


def _is_float(array: Tensor) -> bool:
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(array.dtype))


def _within(array: Tensor) -> Tensor:
    return ops.all(ops.abs(array) <= RANGE)
