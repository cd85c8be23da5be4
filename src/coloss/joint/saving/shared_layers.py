"""Layers that stand in several members, through a file and back.

Keras writes each member with layers of its own; where two members shared one, the
loaded members are joined again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import keras

from coloss.joint.outputs.layer_outputs import find_layer

Place = list[str]
"""A member's name, then layer names from the outside in; alone: the whole member."""
_SHARED_ID = "shared_object_id"


def places(members: Mapping[str, keras.Model]) -> list[list[Place]]:
    """Return, for each layer in several members, where it stands.

    Args:
        members: networks by name.

    Raises:
        ValueError: if a member that shares a layer has no graph to be joined in.
    """
    found: dict[int, list[Place]] = {}
    for name, member in members.items():
        for key, path in _below(member, []):
            found.setdefault(key, []).append([name, *path])
    shared = [where for where in found.values() if len({p[0] for p in where}) > 1]
    for where in shared:
        for name, *path in where:
            if path and not _has_graph(members[name]):
                raise ValueError(
                    f"member {name!r} shares its layer {'.'.join(path)!r} with another "
                    "member, and is subclassed: it cannot be saved so that the layer "
                    "is still shared. Save the weights (`save_weights`), or the "
                    "members alone."
                )
    return shared


def _below(
    layer: keras.layers.Layer, path: list[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield each layer by its id; what is below a layer comes with it."""
    yield id(layer), path
    for child in getattr(layer, "layers", []):
        if not isinstance(child, keras.layers.InputLayer):
            yield from _below(child, [*path, child.name])


def _has_graph(member: keras.Model) -> bool:
    return isinstance(member, keras.Sequential) or hasattr(member, "operations")


def with_own_ids(config: object, owner: str) -> object:
    """Return a member's configuration in which no object is another member's.

    Keras numbers the objects that occur more than once in a file and, reading, hands
    out the first one again. A layer of two members would so come into the second one
    with the nodes of the first one's graph. Members are read with layers of their own,
    and joined afterwards.

    Args:
        config: of the member, as it stands in the file of the joint model.
        owner: the member's name.
    """
    times = Counter(_shared_ids(config))

    def own(value: object) -> object:
        if isinstance(value, list | tuple):
            return type(value)(own(inner) for inner in value)
        if not isinstance(value, dict):
            return value
        found = {key: own(inner) for key, inner in value.items()}
        number = found.pop(_SHARED_ID, None)
        if times[number] > 1:
            found[_SHARED_ID] = f"{owner}: {number}"
        return found

    return own(config)


def _shared_ids(config: object) -> Iterator[object]:
    if isinstance(config, dict) and _SHARED_ID in config:
        yield config[_SHARED_ID]
    if isinstance(config, dict | list | tuple):
        for value in config.values() if isinstance(config, dict) else config:
            yield from _shared_ids(value)


def relinked(
    members: dict[str, keras.Model], shared: list[list[Place]]
) -> dict[str, keras.Model]:
    """Return members that share layers again.

    Args:
        members: networks by name, each with layers of its own.
        shared: what `places` returned for the networks that were saved.
    """
    members, replaced = dict(members), {}
    for (first, *path), *others in shared:
        original = find_layer(first, members[first], tuple(path))
        for name, *other in others:
            layer = find_layer(name, members[name], tuple(other))
            replaced[id(layer)] = original
    for name, member in members.items():
        if id(member) in replaced:
            members[name] = replaced[id(member)]
        elif any(key in replaced for key, _ in _below(member, [])):
            members[name] = _rebuilt(member, replaced)
    return members


def _rebuilt(
    member: keras.Model, replaced: dict[int, keras.layers.Layer]
) -> keras.Model:
    """Return a network of the same layers, but for those that are replaced."""

    def same(layer: keras.layers.Layer) -> keras.layers.Layer:
        if id(layer) in replaced:
            return replaced[id(layer)]
        within = [key for key, _ in _below(layer, []) if key in replaced]
        return _rebuilt(layer, replaced) if within else layer

    return keras.models.clone_model(member, clone_function=same)
