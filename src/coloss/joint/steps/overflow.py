"""When a step cannot overflow, so that it need not be looked at before it is taken.

A step does damage if a gradient is not finite, or if the optimizer's arithmetic turns
finite gradients into weights or slots that are not. To see the second, the step must be
computed once more, before anything is overwritten; that costs as much as the step. For
the common optimizers it cannot happen as long as gradients and learning rates are
moderate, and one sum of squares a gradient, which NaN and infinity do not pass, tells
that they are. Only a step that is not cleared by it is looked at in full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import keras
from keras import optimizers
from keras.optimizers import Optimizer

from coloss.typing import Tensor

SQUARES = 1e24
"""Sum of squares of one or more gradients up to which a step is cleared."""

RANGE = 1e30
"""Size of a weight or a slot that a step which is looked at may not pass.

A cleared step cannot carry a number of at most this size beyond float32: it adds at
most 1e3 * 1e12 / 1e-12, and multiplies a weight by a number of at most 1 in size.
"""

RATE = 1e3
"""The largest learning rate, and factor of a network's update, of a cleared step."""

LEAST_EPSILON = 1e-12
LARGEST_BETA = 0.99999

_BETAS = ("beta_1", "beta_2", "rho", "ema_momentum")
_KNOWN: tuple[tuple[type, bool], ...] = (
    # With the second: does it divide by a root that epsilon keeps from 0?
    (optimizers.SGD, False),
    (optimizers.Lion, False),
    (optimizers.Adam, True),
    (optimizers.AdamW, True),
    (optimizers.Nadam, True),
    (optimizers.Adamax, True),
    (optimizers.RMSprop, True),
    (optimizers.Adagrad, True),
)


def scales_loss(optimizer: Optimizer) -> bool:
    """Return whether an optimizer skips steps itself where gradients overflow."""
    return isinstance(optimizer, optimizers.LossScaleOptimizer)


def inner_optimizers(optimizer: Optimizer) -> list[Optimizer]:
    """Return the optimizers that move variables, each once."""
    if scales_loss(optimizer):
        return inner_optimizers(optimizer.inner_optimizer)
    groups = getattr(optimizer, "groups", None)
    if groups is None:
        return [optimizer]
    return list({id(one): one for one in groups.values()}.values())


def slots(optimizer: Optimizer) -> list[keras.Variable]:
    """Return the variables that a step may spoil: all but rates, scales and counts."""
    ours = {id(part._learning_rate) for part in inner_optimizers(optimizer)}
    if scales_loss(optimizer):
        ours.add(id(optimizer.dynamic_scale))
    return [
        variable
        for variable in optimizer.variables
        if keras.backend.is_float_dtype(variable.dtype) and id(variable) not in ours
    ]


def clears(
    optimizer: Optimizer, variables: Sequence[keras.Variable]
) -> Tensor | Literal[False]:
    """Return whether moderate gradients give finite weights and slots.

    Args:
        optimizer: of the model, built.
        variables: that it moves.

    Returns:
        False where that is not known of the optimizer, else a scalar bool tensor:
        whether its learning rate is moderate now.
    """
    if not are_known(optimizer, variables):
        return False
    parts, ops = inner_optimizers(optimizer), keras.ops
    rates = [ops.abs(ops.cast(part.learning_rate, "float32")) for part in parts]
    limits = [_largest_rate(part) for part in parts]
    fine = [rate <= limit for rate, limit in zip(rates, limits, strict=True)]
    if scales_loss(optimizer):
        fine.append(ops.cast(optimizer.dynamic_scale, "float32") >= 1.0)
    return fine[0] if len(fine) == 1 else ops.all(ops.stack(fine))


def are_known(optimizer: Optimizer, variables: Sequence[keras.Variable]) -> bool:
    """Return whether the arithmetic of an optimizer's steps is known, in float32.

    Args:
        optimizer: of the model, built.
        variables: that it moves.
    """
    wide = all(variable.dtype in ("float32", "float64") for variable in variables)
    return wide and all(_is_known(part) for part in inner_optimizers(optimizer))


def _is_known(optimizer: Optimizer) -> bool:
    divides = dict(_KNOWN).get(_class_of(optimizer))
    if divides is None or getattr(optimizer, "centered", False):
        return False
    if divides and not optimizer.epsilon >= LEAST_EPSILON:
        return False
    betas = (getattr(optimizer, name, None) for name in _BETAS)
    return all(beta is None or 0.0 <= beta <= LARGEST_BETA for beta in betas)


def _class_of(optimizer: Optimizer) -> type:
    """Return the class whose arithmetic an optimizer has.

    A subclass may do anything, but for the one of the same name that Keras puts in a
    class's place on PyTorch, which moves all variables at once.
    """
    own = type(optimizer)
    if not own.__module__.startswith("keras."):
        return own
    return next(
        (
            base
            for base, _ in _KNOWN
            if base in own.__mro__ and base.__name__ == own.__name__
        ),
        own,
    )


def _largest_rate(optimizer: Optimizer) -> float:
    decay = optimizer.weight_decay
    if not decay:
        return RATE
    # Decay multiplies a weight by 1 - rate * decay.
    return min(RATE, 1.0 / abs(decay)) if math.isfinite(decay) else 0.0
