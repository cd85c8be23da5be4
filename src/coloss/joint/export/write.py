"""One model into one file, by the backend that runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeAlias

import keras

from coloss.joint.base import JointBase
from coloss.joint.export.tensorflow import plain_constants
from coloss.joint.export.torch import dynamic_batch
from coloss.joint.inputs.input_order import symbols_by_key
from coloss.typing import Nested

Structure: TypeAlias = (
    "keras.InputSpec | dict[str, Structure] | list[Structure] | tuple[Structure, ...]"
)
"""Shapes and dtypes in the structure in which a network takes its inputs."""


def signature_of(model: keras.Model, name: str) -> list[Structure]:
    """Return shapes and dtypes of what a model is called with.

    Args:
        model: a network, or a joint model.
        name: what messages call it.

    Returns:
        One structure of `keras.InputSpec`, (None, ...) each, in a list.

    Raises:
        ValueError: if the network has no shapes yet.
    """
    if hasattr(model, "members"):
        return [_by_key(model)]
    return [_structure(model, name)]


def _by_key(joint: JointBase) -> dict[str, Structure]:
    """Return what each entry of `x` is, by who reads it."""
    members, assembly = joint.members, joint.assembly
    own = assembly.own(members)
    found = {name: _named(member, name) for name, member in own.items()}
    for name, inputs in assembly.inputs.items():
        symbols = symbols_by_key(name, members[name], inputs.keys) or {}
        for key in inputs.keys:
            if key not in found and key not in symbols:
                raise ValueError(
                    f"{name} does not show the shape of its input {key!r}; pass "
                    "`input_signature=`."
                )
            if key not in found:
                shape = (None, *symbols[key].shape[1:])
                found[key] = keras.InputSpec(symbols[key].dtype, shape, name=key)
    return {key: found[key] for key in assembly.keys}


def _named(member: keras.Model, name: str) -> Structure:
    structure = _structure(member, name)
    single = not keras.tree.is_nested(structure)

    def spec(leaf: keras.InputSpec) -> keras.InputSpec:
        # Two members may have inputs of the same name.
        own = name if single else f"{name}_{leaf.name}"
        return keras.InputSpec(dtype=leaf.dtype, shape=leaf.shape, name=own)

    return keras.tree.map_structure(spec, structure)


def _structure(model: keras.Model, name: str) -> Structure:
    if isinstance(model, keras.Sequential):
        found = model.inputs[0] if model.inputs else None
    elif hasattr(model, "input"):
        found = model.input
    else:
        found = _built_for(model)
    if found is None:
        raise ValueError(
            f"{name} has no shapes yet: train it, or call it on data, before it is "
            "exported; or pass `input_signature=`."
        )
    return keras.tree.map_structure(_spec, found)


def _spec(leaf: keras.KerasTensor) -> keras.InputSpec:
    return keras.InputSpec(
        dtype=leaf.dtype, shape=(None, *leaf.shape[1:]), name=leaf.name
    )


def _built_for(model: keras.Model) -> Structure | None:
    """Return symbols for the shapes that a subclassed network was built with."""
    config = (model.get_build_config() if model.built else None) or {}
    shapes = config.get("input_shape") or config.get("shapes_dict")
    # Several arguments are no single structure to call it with.
    if not shapes or "shapes_dict" in config:
        return None
    return _symbols(shapes, model.input_dtype)


def _symbols(shapes: Nested, dtype: str) -> Structure:
    if isinstance(shapes, dict):
        return {key: _symbols(value, dtype) for key, value in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return keras.KerasTensor(tuple(shapes), dtype)
    return [_symbols(value, dtype) for value in shapes]


def write(
    model: keras.Model,
    path: Path,
    format: str,
    signature: list[Structure],
    options: Mapping[str, object],
) -> None:
    """Write a model with `keras.Model.export`, by the backend that runs.

    Args:
        model: what to write.
        path: the file or folder.
        format: as Keras names it.
        signature: shapes and dtypes of the inputs, as `signature_of` returns them.
        options: passed on to Keras.
    """
    # Keras refuses what was never called, as after loading; symbols are enough.
    model(*keras.tree.map_structure(_symbol, signature))
    if keras.backend.backend() == "torch":
        # Layers that were built by symbols have not shown their variables to torch,
        # which would take them for constants; asking for them makes them known.
        list(model.named_parameters())
    if format == "torch":
        options = {"dynamic_shapes": dynamic_batch(signature), **options}
    with warnings.catch_warnings(), _constants(model):
        # Exporters announce what will be deprecated in their own calls to torch, jax
        # and numpy; nobody who exports can do anything about it. What matters, whether
        # the file gives the right outputs, is compared afterwards.
        warnings.simplefilter("ignore")
        keras.Model.export(
            model,
            str(path),
            format=format,
            verbose=False,
            input_signature=signature,
            **options,
        )


def _constants(model: keras.Model) -> AbstractContextManager[None]:
    if keras.backend.backend() == "tensorflow":
        return plain_constants(model)
    return nullcontext()


def _symbol(spec: keras.InputSpec) -> keras.KerasTensor:
    return keras.KerasTensor(tuple(spec.shape), spec.dtype)
