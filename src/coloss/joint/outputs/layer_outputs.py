"""Reading the outputs of layers inside a member's one forward pass.

A tap is a layer of a member, addressed by a path of names. While the member is
called, the layer's `call` is wrapped on that one instance, so that every kind of
member can be read: Functional, Sequential, nested and subclassed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

import keras

from coloss.joint.keras_internals import output_structure
from coloss.names import nearest
from coloss.objective.expression import Port
from coloss.typing import Nested, Tensor

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
    layer, keys = _walk(member, path)
    if keys:
        raise _no_layer(name, layer, path, keys)
    return layer


def find_place(
    name: str, member: keras.Model, path: Path
) -> tuple[keras.layers.Layer, Path]:
    """Return the layer that a path leads to, and what follows it.

    What follows a layer are the keys of a dict that it returns, or the positions in a
    list: `text.backbone["last_hidden"]`.

    Args:
        name: the member's name, for messages.
        member: the network.
        path: as written.

    Raises:
        ValueError: if there is no such layer, or, where it is known already what the
            layer returns, nothing under these keys; lists the names there are.
    """
    layer, keys = _start(name, member, path)
    structure = output_structure(layer) if keys else _public_output(layer)
    if structure is None:
        return layer, keys
    if keys and not _entries(structure):
        raise _no_layer(name, layer, path, keys)
    pick(name, path[: len(path) - len(keys)], structure, keys)
    return layer, keys


def pick(name: str, path: Path, value: Nested, keys: Path) -> Tensor:
    """Return one tensor of what a layer returns.

    Args:
        name: the member's name, for messages.
        path: of the layer.
        value: a tensor; or a dict or a list of tensors, nested or not.
        keys: which of them, from the outside in.

    Raises:
        ValueError: if there is none under these keys, or more than one.
    """
    for key in keys:
        entries = _entries(value)
        if key not in entries:
            listed = ", ".join(map(repr, entries)) or "one tensor"
            raise ValueError(
                f"layer `{_spelled(name, path)}` returns nothing named "
                f"{key!r}{nearest(key, list(entries))} (it returns {listed})."
            )
        value, path = entries[key], (*path, key)
    if entries := _entries(value):
        choices = ", ".join(_spelled(name, (*path, key)) for key in entries)
        raise ValueError(
            f"layer `{_spelled(name, path)}` returns a {type(value).__name__}; a term "
            f"reads one tensor of it: {choices}."
        )
    return value


def _entries(value: Nested) -> dict[str, Nested]:
    """Return the parts of a dict or list by name; none of a tensor."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    if isinstance(value, list | tuple):
        return {str(index): part for index, part in enumerate(value)}
    return {}


def _spelled(name: str, path: Path) -> str:
    return str(Port(name, path)) if path else name


def _public_output(layer: keras.layers.Layer) -> Nested:
    """Return what a whole nested network returns; None where it is not known."""
    if not isinstance(layer, keras.Model):
        return None
    try:
        return layer.output
    except (AttributeError, ValueError):
        return None  # Subclassed, or not built yet.


def _walk(member: keras.Model, path: Path) -> tuple[keras.layers.Layer, Path]:
    """Return the last layer on a path, and the parts that are no layers."""
    layer: keras.layers.Layer = member
    for depth, part in enumerate(path):
        child = _child(layer, part)
        if child is None:
            return layer, path[depth:]
        layer = child
    return layer, ()


def _start(
    name: str, member: keras.Model, path: Path
) -> tuple[keras.layers.Layer, Path]:
    """Return what `_walk` does; refuse a path that does not begin with a layer."""
    layer, keys = _walk(member, path)
    if keys == path:
        raise _no_layer(name, layer, path, keys)
    return layer, keys


def _no_layer(
    name: str, layer: keras.layers.Layer, path: Path, keys: Path
) -> ValueError:
    names = list(dict.fromkeys(child.name for child in _children(layer)))
    place = ".".join((name, *path[: len(path) - len(keys)]))
    return ValueError(
        f"`{place}` has no layer {keys[0]!r}{nearest(keys[0], names)} "
        f"(layers: {', '.join(names) or 'none'})."
    )


def _children(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    return layer._flatten_layers(include_self=False, recursive=False)


def _child(layer: keras.layers.Layer, name: str) -> keras.layers.Layer | None:
    for child in _children(layer):
        if child.name == name:
            return child
    attribute = getattr(layer, name, None)
    return attribute if isinstance(attribute, keras.layers.Layer) else None


@contextlib.contextmanager
def recording(
    name: str, member: keras.Model, paths: Iterable[Path]
) -> Iterator[dict[Path, Tensor]]:
    """Record the outputs of a member's layers while it is called.

    Args:
        name: the member's name, for messages.
        member: the network about to be called, once.
        paths: the layers to record, each with the key of the output it returns, if
            it returns several.

    Yields:
        A dict that maps each path to its layer's output, complete after the block.

    Raises:
        ValueError: after the call, if a layer was called never or more than once, or
            does not return one tensor under its keys.
    """
    outputs: dict[Path, Tensor] = {}
    calls: dict[Path, int] = {path: 0 for path in paths}
    wrapped: dict[int, keras.layers.Layer] = {}
    by_layer: dict[int, list[Path]] = {}
    keys: dict[Path, Path] = {}
    for path in calls:
        layer, keys[path] = _start(name, member, path)
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
        short = path[: len(path) - len(keys[path])]
        outputs[path] = pick(name, short, outputs[path], keys[path])


def _wrap(
    layer: keras.layers.Layer,
    paths: list[Path],
    outputs: dict[Path, Tensor],
    calls: dict[Path, int],
) -> None:
    original = layer.call

    def call(*args: Nested, **kwargs: object) -> Nested:
        output = original(*args, **kwargs)
        for path in paths:
            calls[path] += 1
            outputs[path] = output
        return output

    # Past Keras's own attribute tracking: this is no state of the layer.
    object.__setattr__(layer, "call", call)
