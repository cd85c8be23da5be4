"""The one forward pass of all members in a step, and what the loss reads of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import keras
from keras import ops

from coloss.joint.inputs.missing_rows import clean
from coloss.joint.keras_internals import mask_of
from coloss.joint.members import check_one_output, is_frozen
from coloss.joint.outputs.layer_outputs import Path, recording
from coloss.typing import Nested, Tensor


@dataclass
class Forward:
    """What one forward pass of all members left behind.

    Attributes:
        outputs: (batch, ...) by member, finite on every row.
        present: (batch,) rows that have an input, by member; None: all.
        masks: (batch, positions) bool, by member: False where Keras's mask of the
            output says padding; None: no mask.
        taps: outputs of layers, by member and path.
    """

    outputs: dict[str, Tensor] = field(default_factory=dict)
    present: dict[str, Tensor | None] = field(default_factory=dict)
    masks: dict[str, Tensor | None] = field(default_factory=dict)
    taps: dict[tuple[str, Path], Tensor] = field(default_factory=dict)

    @property
    def size(self) -> Tensor:
        """The number of rows in the batch."""
        return ops.shape(next(iter(self.outputs.values())))[0]


def run_members(
    members: Mapping[str, keras.Model],
    inputs: Mapping[str, Nested],
    training: bool | None,
    tapped: Mapping[str, tuple[Path, ...]],
    complete: Collection[str] = (),
) -> Forward:
    """Call every member once.

    Args:
        members: the networks.
        inputs: one entry a member; rows of NaN are missing.
        training: as in Keras. A frozen member always runs in inference mode.
        tapped: paths of the layers to record, by member.
        complete: members known to have an input on every row; not looked at.

    Raises:
        ValueError: if a member returns several outputs.
    """
    forward = Forward()
    for name, member in members.items():
        cleaned, present = inputs[name], None
        if name not in complete:
            cleaned, present = clean(inputs[name])
        mode = training and not is_frozen(member)
        if not member.built:
            _build(member, cleaned)
        with recording(name, member, tapped.get(name, ())) as outputs:
            output = _call(member, cleaned, mode)
        check_one_output(name, output)
        forward.outputs[name] = output
        forward.present[name] = present
        forward.masks[name] = mask_of(forward.outputs[name])
        for path, output in outputs.items():
            forward.taps[name, path] = output
    return forward


def _build(member: keras.Model, inputs: Nested) -> None:
    """Let a network create its variables: this calls its layers, once more."""

    def symbol(leaf: Tensor) -> keras.KerasTensor:
        dtype = keras.backend.standardize_dtype(leaf.dtype)
        return keras.KerasTensor(tuple(leaf.shape), dtype)

    member(keras.tree.map_structure(symbol, inputs))


def _call(member: keras.Model, inputs: Nested, training: bool | None) -> Tensor:
    if member._call_has_training_arg:
        return member(inputs, training=training)
    return member(inputs)
