"""Layers that carry a state from batch to batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import keras

from coloss.joint.members import layers_of


@contextmanager
def states_kept(members: Mapping[str, keras.Model]) -> Iterator[None]:
    """Leave the states of layers with `stateful=True` as they are, after the block.

    Such layers move them in inference, too.

    Args:
        members: the networks.
    """
    held = [
        (variable, keras.ops.copy(variable.value))
        for member in members.values()
        for layer in layers_of(member)
        if getattr(layer, "stateful", False)
        # Those of a recurrent layer are in no list of its variables.
        for variable in (*layer.non_trainable_variables, *getattr(layer, "states", ()))
    ]
    try:
        yield
    finally:
        for variable, value in held:
            variable.assign(value)
