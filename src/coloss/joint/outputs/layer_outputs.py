"""Reading the outputs of layers inside a member's one forward pass.

A tap is a layer of a member, addressed by a path of names. While the member is
called, the layer's `call` is wrapped on that one instance, so that every kind of
member can be read: Functional, Sequential, nested and subclassed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from coloss.names import nearest

Path = tuple[str, ...]


def find_layer(name: str, member: keras.Model, path: Path) -> keras.layers.Layer:
    """Return the layer at `path`: by layer name first, then by attribute.

    Args:
        name: the member's name, for messages.
        member: the network.
        path: layer names from the outside in, such as `("encoder", "block_1")`.

    Raises:
        ValueError: if there is no such layer; lists the names there are.
    """
    layer: Any = member
    for depth, part in enumerate(path):
        found = _child(layer, part)
        if found is None:
            names = list(dict.fromkeys(child.name for child in _children(layer)))
            place = ".".join((name, *path[:depth]))
            raise ValueError(
                f"`{place}` has no layer {part!r}{nearest(part, names)} "
                f"(layers: {', '.join(names) or 'none'})."
            )
        layer = found
    return layer


def _children(layer: Any) -> list[keras.layers.Layer]:
    return layer._flatten_layers(include_self=False, recursive=False)


def _child(layer: Any, name: str) -> keras.layers.Layer | None:
    for child in _children(layer):
        if child.name == name:
            return child
    attribute = getattr(layer, name, None)
    return attribute if isinstance(attribute, keras.layers.Layer) else None


@contextlib.contextmanager
def recording(
    name: str, member: keras.Model, paths: Iterable[Path]
) -> Iterator[dict[Path, Any]]:
    """Record the outputs of a member's layers while it is called.

    Args:
        name: the member's name, for messages.
        member: the network about to be called, once.
        paths: the layers to record.

    Yields:
        A dict that maps each path to its layer's output, filled by the call.

    Raises:
        ValueError: after the call, if a layer was called never or more than once.
    """
    outputs: dict[Path, Any] = {}
    calls: dict[Path, int] = {path: 0 for path in paths}
    wrapped: dict[int, keras.layers.Layer] = {}
    by_layer: dict[int, list[Path]] = {}
    for path in calls:
        layer = find_layer(name, member, path)
        by_layer.setdefault(id(layer), []).append(path)
        wrapped[id(layer)] = layer
    for key, layer in wrapped.items():
        _wrap(layer, by_layer[key], outputs, calls)
    try:
        yield outputs
    finally:
        for layer in wrapped.values():
            object.__delattr__(layer, "call")
    for path, count in calls.items():
        if count != 1:
            raise ValueError(
                f"layer `{'.'.join((name, *path))}` is called {count} times in one "
                "forward pass of its network; a tap needs exactly one. Tap the layer "
                "that receives its output."
            )


def _wrap(
    layer: keras.layers.Layer,
    paths: list[Path],
    outputs: dict[Path, Any],
    calls: dict[Path, int],
) -> None:
    original = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        output = original(*args, **kwargs)
        for path in paths:
            calls[path] += 1
            outputs[path] = output
        return output

    # Past Keras's own attribute tracking: this is no state of the layer.
    object.__setattr__(layer, "call", call)
