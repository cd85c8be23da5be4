"""In which order, or under which names, a network takes several inputs."""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import ops

from coloss.names import counted, unknown
from coloss.typing import Nested, Tensor


def takes_names(member: keras.Model) -> bool:
    """Return whether a network was made of a dict of inputs."""
    return isinstance(_structure_of(member), Mapping)


def takes_a_list(member: keras.Model) -> bool:
    """Return whether a network was made of a list of inputs, be it one."""
    return isinstance(_structure_of(member), list | tuple)


def _structure_of(member: keras.Model) -> Nested | None:
    """Return what a network was made of: a tensor, a dict or a list; None: unseen."""
    # A Sequential has one input, and no `input` before it was called.
    if isinstance(member, keras.Sequential) or not symbols_of(member):
        return None
    return member.input


def input_order(
    name: str, member: keras.Model, keys: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the keys in the order of the network's inputs.

    Args:
        name: the member, for messages.
        member: the network; of one that does not show its inputs (subclassed, or not
            built yet) the order is that of the keys.
        keys: what it reads.

    Raises:
        ValueError: if the network has too few inputs, or inputs of some of these names
            at other places.
    """
    symbols = symbols_of(member)
    if not symbols:
        return keys
    if takes_names(member):
        names = tuple(member.input)
        for key in keys:
            if key not in names:
                said = unknown("input", key, names)
                raise ValueError(f"`inputs` of {name!r}: its network has {said}.")
        _check_all(name, names, keys)
        named = member.input.items()
        return tuple(key for one in symbols for key, other in named if other is one)
    names = tuple(symbol.name for symbol in symbols)
    if set(names) == set(keys):
        return names
    if len(symbols) < len(keys):
        raise ValueError(
            f"`inputs` of {name!r}: its network has {counted(len(symbols), 'input')}, "
            f"and {counted(len(keys), 'key')} are named. Let it begin with one "
            "keras.Input each, and keras.layers.Concatenate."
        )
    for place, key in enumerate(keys):
        if key in names and names[place] != key:
            raise ValueError(
                f"`inputs` of {name!r}: {key!r} stands at place {place + 1}, and the "
                f"network's input of this name at place {names.index(key) + 1}. Its "
                f"inputs are named {', '.join(names)}: give all of them the names of "
                "keys, or none."
            )
    return keys


def _check_all(name: str, names: tuple[str, ...], keys: tuple[str, ...]) -> None:
    lacking = [one for one in names if one not in keys]
    if lacking:
        raise ValueError(
            f"`inputs` of {name!r}: nothing for its network's input {lacking[0]!r} "
            f"(inputs: {', '.join(names)})."
        )


def symbols_by_key(
    name: str, member: keras.Model, keys: tuple[str, ...]
) -> dict[str, keras.KerasTensor] | None:
    """Return the network's input for each key.

    Returns:
        None where the network does not show its inputs, or one key holds several.
    """
    symbols = symbols_of(member)
    if len(symbols) != len(keys):
        return None
    order = input_order(name, member, keys)
    if takes_names(member):
        return {key: member.input[key] for key in order}
    return dict(zip(order, symbols, strict=True))


def zeros_for(
    name: str, member: keras.Model, keys: tuple[str, ...], rows: Tensor
) -> dict[str, Tensor]:
    """Return an empty input for each key, of a network that shows its inputs."""
    symbols = symbols_by_key(name, member, keys) or {}
    return {
        key: ops.zeros((rows, *symbol.shape[1:]), dtype=symbol.dtype)
        for key, symbol in symbols.items()
    }


def symbols_of(member: keras.Model) -> list[keras.KerasTensor]:
    """Return the inputs of a network as it was built; none where it does not say."""
    return (getattr(member, "inputs", None) if member.built else None) or []
