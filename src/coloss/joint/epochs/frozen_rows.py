"""What a `fit` goes over, where frozen members need not be run at each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from coloss.joint.epochs.memory import SHARE, free_host_memory
from coloss.joint.epochs.reasons import listed
from coloss.joint.epochs.turns import BlocksBase
from coloss.joint.inputs.arrays import is_array_data
from coloss.joint.outputs.frozen import PREFIX, say, sayable
from coloss.typing import Nested

Arguments = dict[str, Any]

OUR_OWN = ("keras.", "coloss.")
"""Where callbacks come from that are known to leave frozen members as they are."""


def with_frozen_rows(model: BlocksBase, arguments: Arguments, cache: bool) -> Arguments:
    """Return the arguments of a `fit`, frozen members computed once for all rows.

    They are as they were for one epoch only, for data other than arrays, on several
    devices, and where a callback might change a frozen member (any but those of Keras
    and coloss).

    Args:
        model: the joint model.
        arguments: of `keras.Model.fit`, checked and by member.
        cache: whether the user allows it.
    """
    epochs = arguments["epochs"] - arguments.get("initial_epoch", 0)
    one_device = keras.distribution.distribution() is None
    if not cache or epochs < 2 or not one_device or not is_array_data(arguments["x"]):
        return arguments
    members = sayable(model.members)
    callbacks = listed(arguments["callbacks"])
    if not members or not all(map(_leaves_members, callbacks)):
        return arguments
    ready = {**arguments, "x": _rows(model, members, arguments["x"])}
    after = arguments["validation_data"]
    if isinstance(after, tuple) and is_array_data(after[0]):
        ready["validation_data"] = (_rows(model, members, after[0]), *after[1:])
    return ready


def _rows(
    model: BlocksBase, members: Mapping[str, keras.Model], x: Mapping[str, Nested]
) -> dict[str, Nested]:
    """Return `x` with what members say in the place of what only they read."""
    tapped = model.compiled_settings.tapped
    limit = SHARE * free_host_memory()
    said = say(members, model.assembly, tapped, x, limit)
    others = [name for name in model.members if name not in said]
    read = {key for name in others for key in model.assembly.reads(name)}
    kept = {key: entry for key, entry in x.items() if key in read}
    return kept | {PREFIX + name: entry for name, entry in said.items()}


def _leaves_members(callback: keras.callbacks.Callback) -> bool:
    if isinstance(callback, keras.callbacks.CallbackList):
        return all(map(_leaves_members, callback.callbacks))
    if isinstance(callback, keras.callbacks.LambdaCallback):
        return False
    return type(callback).__module__.startswith(OUR_OWN)
