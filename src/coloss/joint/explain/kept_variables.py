"""Variables that a look at a model moves, and that are put back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import keras

from coloss.joint.inputs.arrays import to_numpy
from coloss.joint.members import layers_of


@contextmanager
def variables_kept(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Give variables their present values again, after the block.

    Args:
        variables: whose values are held in the host's memory.
    """
    before = [to_numpy(variable.value).copy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def states_of(members: Mapping[str, keras.Model]) -> list[keras.Variable]:
    """Return what layers with `stateful=True` carry from batch to batch.

    Such layers move it in inference, too.

    Args:
        members: the networks.
    """
    return [
        variable
        for member in members.values()
        for layer in layers_of(member)
        if getattr(layer, "stateful", False)
        # The states of a recurrent layer are in no list of its variables.
        for variable in (
            *layer.non_trainable_variables,
            *keras.tree.flatten(getattr(layer, "states", None) or ()),
        )
    ]
