"""A model to another backend: what is written down, and the process that reads it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from coloss.joint.export.write import Structure

PROCESS = "coloss.joint.export.worker"


def write_elsewhere(
    model: keras.Model,
    name: str,
    path: Path,
    format: str,
    signature: list[Structure],
    options: Mapping[str, object],
    backend: str,
) -> None:
    """Write a model in a process that runs another backend.

    Args:
        model: what to write; handed over as a `.keras` file in a temporary folder.
        name: what messages call it.
        path: the file or folder.
        format: as Keras names it.
        signature: shapes and dtypes of the inputs.
        options: for Keras; anything that JSON can hold.
        backend: the other backend.

    Raises:
        ValueError: if the other process could not load the model: its classes are
            not in modules that can be imported, or an option is no plain value.
        RuntimeError: if the other backend could not write it.
    """
    custom = custom_objects(model)
    _check_importable(name, custom, backend)
    request = {
        "model": "model.keras",
        "path": str(path.resolve()),
        "format": format,
        "signature": encoded(signature),
        "options": options,
        "custom": custom,
    }
    try:
        text = json.dumps(request)
    except TypeError as error:
        raise ValueError(
            f"the backend {backend} writes {format!r} in a process of its own, which "
            f"these options cannot be sent to ({error}). Load the model under "
            f"KERAS_BACKEND={backend} and export there."
        ) from None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model.save(folder / str(request["model"]))
        (folder / "request.json").write_text(text)
        _run(folder, name, format, backend)


def _run(folder: Path, name: str, format: str, backend: str) -> None:
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        # What can be imported here can be imported there.
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
        # The present process may hold all of the accelerator's memory.
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-m", PROCESS, "request.json"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    answer = folder / "answer.json"
    if done.returncode == 0 and answer.exists():
        return
    if answer.exists():
        found = json.loads(answer.read_text())
        error, kind = found["error"], found["kind"]
    else:
        error, kind = done.stderr[-2000:], "export"
    if kind == "load":
        raise ValueError(
            f"{name} could not be loaded under {backend}, which writes {format!r}: "
            f"{error}\nRegister its own classes and functions with "
            "`@keras.saving.register_keras_serializable()` in a module."
        )
    raise RuntimeError(f"{backend} could not write {name} as {format!r}: {error}")


def custom_objects(model: keras.Model) -> list[tuple[str, str, str]]:
    """Return every class and function of a model that is not Keras's.

    Returns:
        (module, name, name it is registered under) of each.
    """
    found: dict[tuple[str, str, str], None] = {}

    def visit(config: object) -> None:
        if isinstance(config, dict):
            module, name = config.get("module"), config.get("class_name")
            if name == "function":
                name = config["config"]
            if isinstance(module, str) and isinstance(name, str):
                known = str(config.get("registered_name") or name)
                if module.split(".")[0] not in ("keras", "builtins"):
                    found[module, name, known] = None
            for value in config.values():
                visit(value)
        elif isinstance(config, list | tuple):
            for value in config:
                visit(value)

    visit(keras.saving.serialize_keras_object(model))
    return list(found)


def _check_importable(
    name: str, custom: list[tuple[str, str, str]], backend: str
) -> None:
    for module, what, known in custom:
        # Inside a function, it is there after an import only if that registers it.
        here = hasattr(sys.modules.get(module), what)
        named = here or keras.saving.get_registered_object(known) is not None
        if module != "__main__" and named and _can_be_found(module):
            continue
        raise ValueError(
            f"{name} has {what!r} from the module {module!r}, which cannot be imported "
            f"in the process of {backend}. Move it to the top of a module that can be, "
            f"or load the model under KERAS_BACKEND={backend} and export there."
        )


def _can_be_found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def encoded(structure: Structure) -> dict[str, object]:
    """Return a structure of `keras.InputSpec` as JSON can hold it."""
    if isinstance(structure, dict):
        return {"dict": {key: encoded(value) for key, value in structure.items()}}
    if isinstance(structure, list | tuple):
        kind = "tuple" if isinstance(structure, tuple) else "list"
        return {kind: [encoded(value) for value in structure]}
    shape = list(structure.shape)
    return {"spec": [shape, str(structure.dtype), structure.name]}


def decoded(config: dict[str, Any]) -> Structure:
    """Return the structure that `encoded` wrote down."""
    [(kind, value)] = config.items()
    if kind == "dict":
        return {key: decoded(one) for key, one in value.items()}
    if kind == "spec":
        shape, dtype, name = value
        return keras.InputSpec(shape=tuple(shape), dtype=dtype, name=name)
    parts = [decoded(one) for one in value]
    return tuple(parts) if kind == "tuple" else parts
