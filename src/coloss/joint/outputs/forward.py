"""The one forward pass of all members in a step, and what the loss reads of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from coloss.joint.inputs.missing_rows import clean, replace_rows
from coloss.joint.keras_internals import attach_mask, mask_of
from coloss.joint.members import check_one_output, is_frozen
from coloss.joint.outputs.layer_outputs import Path, recording
from coloss.typing import Nested, Tensor

Said = dict[str, Any]
"""What a member says of a batch, where it need not be run, each with the rows first.

"output"; "present", where a row has no input; "mask", where Keras's mask of the output
has padding; "taps" and "tap masks", by the number of the layer among those read.
"""


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

    def outputs_or_nan(self) -> dict[str, Tensor]:
        """Return outputs by member; rows without an input are NaN."""
        return {
            name: replace_rows(output, self.present[name], float("nan"))
            for name, output in self.outputs.items()
        }


def run_members(
    members: Mapping[str, keras.Model],
    inputs: Mapping[str, Nested],
    training: bool | None,
    tapped: Mapping[str, tuple[Path, ...]],
    complete: Collection[str] = (),
    said: Mapping[str, Said] = MappingProxyType({}),
) -> Forward:
    """Call every member once.

    Args:
        members: the networks.
        inputs: one entry a member; rows of NaN are missing.
        training: as in Keras. A frozen member always runs in inference mode.
        tapped: paths of the layers to record, by member.
        complete: members known to have an input on every row; not looked at.
        said: of members that are not run.

    Raises:
        ValueError: if a member returns several outputs.
    """
    forward = Forward()
    for name, member in members.items():
        if name in said:
            _put(forward, name, said[name], tapped.get(name, ()))
            continue
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


def _put(forward: Forward, name: str, said: Said, paths: tuple[Path, ...]) -> None:
    forward.outputs[name] = said["output"]
    forward.present[name] = said.get("present")
    forward.masks[name] = said.get("mask")
    for number, path in enumerate(paths):
        value = said["taps"][str(number)]
        if str(number) in said["tap masks"]:
            attach_mask(value, said["tap masks"][str(number)])
        forward.taps[name, path] = value


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
