"""One prediction from all members: the mean, over the members that are present."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import keras
from keras import ops

from coloss.joint.inputs.missing_rows import replace_rows
from coloss.joint.supervision.member_loss import BINARY, CLASSES, MemberLoss
from coloss.typing import Tensor

Fuse: TypeAlias = str | Callable[[dict[str, Tensor]], Tensor]
"""How one prediction comes of all: \"mean\", or a function of the outputs."""


def check_fuse(fuse: Fuse | None) -> Fuse | None:
    """Return `fuse` if it can be used.

    Raises:
        ValueError: if it is neither None, "mean", nor a callable.
    """
    if fuse is None or fuse == "mean" or callable(fuse):
        return fuse
    raise ValueError(
        '`fuse` must be None, "mean", or a function of the members\' outputs '
        f"(a dict by name) that returns one tensor; found {fuse!r}."
    )


def fused(
    fuse: Fuse,
    outputs: dict[str, Tensor],
    present: dict[str, Tensor | None],
    losses: dict[str, MemberLoss],
) -> Tensor:
    """Return the joint prediction.

    Args:
        fuse: "mean" or a function of the outputs.
        outputs: (batch, ...) by member, finite on every row.
        present: (batch,) rows each member sees; None: all.
        losses: say which outputs are logits: those are turned to probabilities.

    Returns:
        (batch, ...). "mean" averages probabilities (outputs, for a regression)
        over the members present; a row without any member is NaN.

    Raises:
        ValueError: if the members' outputs differ in shape.
    """
    if callable(fuse):
        return fuse(
            {
                name: replace_rows(output, present.get(name), float("nan"))
                for name, output in outputs.items()
            }
        )
    shapes = {name: tuple(output.shape[1:]) for name, output in outputs.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f'fuse="mean" needs outputs of one shape; found {listed}. Give a '
            "function of the outputs instead."
        )
    total, count = 0.0, 0.0
    for name, output in outputs.items():
        values = _probabilities(ops.cast(output, "float32"), losses.get(name))
        here = ops.ones(ops.shape(values)[:1])
        if present.get(name) is not None:
            here = ops.cast(present[name], "float32")
        here = ops.reshape(here, (-1,) + (1,) * (len(values.shape) - 1))
        total, count = total + here * values, count + here
    mean = total / ops.maximum(count, 1.0)
    return ops.where(count > 0, mean, ops.full_like(mean, float("nan")))


def _probabilities(output: Tensor, loss: MemberLoss | None) -> Tensor:
    if loss is None or not loss.from_logits or loss.kind not in CLASSES:
        return output
    if loss.kind == BINARY:
        return keras.ops.sigmoid(output)
    return keras.ops.softmax(output, axis=loss.axis)
