"""Short texts that equal arrays, or equal networks, have, and others do not."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np


def digest(value: object) -> str:
    """Return a text that equal arrays have, and others do not.

    Args:
        value: arrays, in lists and dicts.
    """
    found = hashlib.blake2b(digest_size=12)

    def add(inner: object) -> None:
        if isinstance(inner, Mapping):
            for key in sorted(inner, key=str):
                found.update(f"{key}:".encode())
                add(inner[key])
        elif isinstance(inner, list | tuple) and not _is_row(inner):
            for place, one in enumerate(inner):
                found.update(f"{place}:".encode())
                add(one)
        elif inner is None:
            found.update(b"none")
        else:
            array = np.ascontiguousarray(keras.ops.convert_to_numpy(inner))
            found.update(f"{array.dtype} {array.shape}".encode())
            text = array.dtype.kind in "OUST"
            found.update(repr(array.tolist()).encode() if text else array.tobytes())

    add(value)
    return found.hexdigest()


def _is_row(value: Sequence[Any]) -> bool:
    """Whether a list holds the rows themselves, as lists of numbers do."""
    return bool(value) and isinstance(value[0], bool | int | float | str | np.generic)


def layers_digest(member: keras.Model) -> str:
    """Return a digest of a network's layers; names that Keras counted do not matter.

    Args:
        member: built, or not.
    """
    try:
        config = keras.saving.serialize_keras_object(member)
    except (NotImplementedError, TypeError, ValueError):
        # A class of the user's own that cannot be written: its variables tell it.
        config = type(member).__qualname__
    text = json.dumps(config, sort_keys=True, default=str)
    for place, name in enumerate(dict.fromkeys(_names(config))):
        text = text.replace(json.dumps(name), f'"layer {place}"')
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    shapes = [list(variable.shape) for variable in member.variables]
    return digest([np.array([text, str(shapes)])])


def _names(config: object) -> Iterator[str]:
    """Yield the names of layers in a configuration."""
    if isinstance(config, list | tuple):
        for inner in config:
            yield from _names(inner)
    if not isinstance(config, dict):
        return
    own = config.get("config")
    # What Keras calls the name of a policy is what it does, such as "float16".
    policy = str(config.get("class_name")).endswith("Policy")
    if isinstance(own, dict) and isinstance(own.get("name"), str) and not policy:
        yield own["name"]
    for inner in config.values():
        yield from _names(inner)
