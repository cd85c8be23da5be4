"""The one forward pass of all members in a step, and what the loss reads of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from coloss.joint.balance.gradient_basis import Parts
from coloss.joint.inputs.missing_rows import clean
from coloss.joint.members import is_frozen
from coloss.joint.outputs.layer_outputs import Path, recording

Tensor = Any


@dataclass
class Forward:
    """What one forward pass of all members left behind.

    Attributes:
        outputs: (batch, ...) by member, finite on every row.
        present: (batch,) rows that have an input, by member; None: all.
        taps: outputs of layers, by member and path.
    """

    outputs: dict[str, Tensor] = field(default_factory=dict)
    present: dict[str, Tensor | None] = field(default_factory=dict)
    taps: dict[tuple[str, Path], Tensor] = field(default_factory=dict)

    @property
    def size(self) -> Tensor:
        """The number of rows in the batch."""
        return ops.shape(next(iter(self.outputs.values())))[0]


def run_members(
    members: Mapping[str, keras.Model],
    inputs: Mapping[str, Any],
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
            forward.outputs[name] = _call(member, cleaned, mode)
        forward.present[name] = present
        for path, output in outputs.items():
            forward.taps[name, path] = output
    return forward


def _build(member: keras.Model, inputs: Any) -> None:
    """Let a network create its variables: this calls its layers, once more."""

    def symbol(leaf: Tensor) -> keras.KerasTensor:
        dtype = keras.backend.standardize_dtype(leaf.dtype)
        return keras.KerasTensor(tuple(leaf.shape), dtype)

    member(keras.tree.map_structure(symbol, inputs))


def _call(member: keras.Model, inputs: Any, training: bool | None) -> Tensor:
    if member._call_has_training_arg:
        return member(inputs, training=training)
    return member(inputs)


class Handover(threading.local):
    """Carries a forward pass from `call` to `compute_loss` within one step.

    Outside `open` nothing is kept, so no tensor outlives its step.

    Attributes:
        parts: what is minimised, where the train step combines gradients itself.
    """

    def __init__(self) -> None:
        """Start closed."""
        self._open = 0
        self._forward: Forward | None = None
        self.parts: Parts | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Keep what `put` is given, until the block ends."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._forward = self.parts = None

    @property
    def is_open(self) -> bool:
        """Whether a step is under way."""
        return self._open > 0

    def put(self, forward: Forward) -> None:
        """Keep a forward pass, if a step is under way."""
        if self._open:
            self._forward = forward

    def take(self) -> Forward | None:
        """Return the forward pass of this step, once."""
        forward, self._forward = self._forward, None
        return forward

    def take_parts(self) -> Parts | None:
        """Return what this step combines, once; None: nothing."""
        parts, self.parts = self.parts, None
        return parts
