"""What the configuration in a `.keras` file may name: parts of networks, nothing else.

A configuration names classes and functions, and Keras looks them up. Holes in that were
how loading a network ran code (a lambda, `keras.utils.get_file`, a pickled PyTorch
module) or read files that the author of the network chose (a vocabulary). So a list
says what may be named; whatever is not in it is refused, before Keras sees the file.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from functools import reduce

import keras

from coloss.joint.saving.archive import ForeignFileError

_CLASSES = frozenset(
    f"keras.{module}"
    for module in (
        *("layers", "initializers", "regularizers", "constraints", "losses"),
        *("metrics", "optimizers", "optimizers.schedules", "activations", "random"),
        *("dtype_policies", "mixed_precision", "quantizers", "distillation"),
    )
)
"""Modules of Keras any of whose classes may be named."""
_MODELS = frozenset(
    {"Model", "Sequential", "Functional", "Layer", "Operation", "DTypePolicy"}
    | {"FloatDTypePolicy", "Loss", "Metric", "Optimizer", "Initializer", "Regularizer"}
    | {"Quantizer", "Variable"}
)
_OF_MODELS = frozenset({"keras", "keras.models", "keras.src.models.functional"})
_FUNCTIONS = frozenset(
    {"builtins", "keras.ops"}
    | {
        f"keras.{module}"
        for module in (
            *("activations", "initializers", "regularizers", "constraints"),
            *("losses", "metrics", "ops.nn", "ops.numpy"),
        )
    }
)
"""Modules any of whose functions may be named."""
_VALUES = frozenset(
    {"__tensor__", "__numpy__", "__bytes__", "__slice__", "__ellipsis__"}
    | {"__keras_tensor__"}
)
_NEVER = {
    "Lambda": "holds code of its own",
    "__lambda__": "holds code of its own",
    "TorchModuleWrapper": "holds a pickled module of PyTorch, which may run anything",
    "TFSMLayer": "runs a SavedModel from another place",
    "JaxLayer": "holds code of its own",
    "FlaxLayer": "holds code of its own",
    "__typespec__": "names a class of TensorFlow",
}
_FILES = frozenset({"vocabulary"})
"""Settings of layers that may be the name of a file, which would be read."""
MOST_PARTS = 2_000_000


def check_config(text: bytes) -> dict[str, object]:
    """Return a configuration that names nothing but parts of networks.

    Args:
        text: `config.json` of a `.keras` file.

    Raises:
        ForeignFileError: naming what it asks for.
    """
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise ForeignFileError(
            f"has a configuration that is no JSON: {first}"
        ) from None
    if not isinstance(config, dict) or "class_name" not in config:
        raise ForeignFileError("has a configuration of no network")
    own = frozenset(keras.saving.get_custom_objects())
    for part in _tables(config):
        _check_part(part, own)
    return config


def _tables(config: object) -> Iterator[dict[str, object]]:
    """Yield every table inside; without recursion, which a deep one would exhaust."""
    waiting, seen = [config], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if seen > MOST_PARTS:
            raise ForeignFileError("has a configuration of too many parts")
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _check_part(part: dict[str, object], own: frozenset[str]) -> None:
    for key in _FILES:
        if isinstance(part.get(key), str):
            raise ForeignFileError(
                f"would read the file {part[key]!r} (`{key}` of a layer); only lists "
                "are read"
            )
    if "class_name" not in part:
        return
    name, module = part["class_name"], part.get("module")
    registered = part.get("registered_name")
    if not isinstance(name, str) or not isinstance(module, str | None):
        raise ForeignFileError(f"names a part by no text ({name!r})")
    for given in (name, registered):
        if isinstance(given, str) and (last := given.split(">")[-1]) in _NEVER:
            raise ForeignFileError(f"asks for {last}, which {_NEVER[last]}")
    if name in _VALUES:
        return
    if name == "function":
        _check_function(part.get("config"), registered, module, own)
    elif registered not in own and (registered is not None or name not in own):
        _check_class(name, module)


def _check_function(
    name: object, registered: object, module: str | None, own: frozenset[str]
) -> None:
    if isinstance(name, str) and name in own:
        return
    allowed = module is None or module in _FUNCTIONS
    if not (allowed and isinstance(name, str) and name.isidentifier()):
        raise ForeignFileError(f"asks for the function {module}.{name}")
    if registered not in (None, name, "function"):
        raise ForeignFileError(f"asks for the function {registered}")


def _check_class(name: str, module: str | None) -> None:
    if module in _OF_MODELS and name in _MODELS:
        return
    inside = (module or "").startswith("keras.src.") and name.isidentifier()
    if module == "builtins" or module is None or inside:
        # Keras takes its own parts from here, and nothing that is none.
        if name.isidentifier() or ">" in name:
            return
    elif module in _CLASSES:
        found = reduce(
            lambda at, step: getattr(at, step, None),
            [*module.split(".")[1:], name],
            keras,
        )
        if inspect.isclass(found):
            return
    raise ForeignFileError(
        f"asks for {module}.{name}, which is no part of Keras's networks"
    )
