"""What a training is, in short texts by name: two of them are one if all are equal."""

from __future__ import annotations

import dataclasses
import functools
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import keras
import numpy as np

from coloss.digest import digest, layers_digest
from coloss.joint.base import JointBase
from coloss.joint.epochs.resumable import PresentFit
from coloss.joint.keras_internals import without_tensorflow

_ROWS = ("x", "y", "sample_weight")
_NEVER = ("callbacks", "verbose", "validation_data", *_ROWS)
"""Arguments of `fit` that do not stand under their own name."""

_COUNTED = ("name", "shared_object_id")
"""Entries of a configuration that Keras counts up in a process."""

_LONGEST = 100
"""Characters of a text that is shown as it is."""


def fingerprint(fit: PresentFit) -> dict[str, str]:
    """Return what is trained, how, and on what.

    Args:
        fit: what is about to begin.
    """
    with without_tensorflow():
        return {**_of_model(fit.model), **_of_calls(fit)}


def _of_model(model: JointBase) -> dict[str, str]:
    layer = model.coefficient_layer
    plan = model.auxiliary.balance.plan
    found = {
        "the backend": keras.backend.backend(),
        "the objective": str(model.objective),
        "the coefficients": describe({**layer.started_at, **layer.schedules}),
        "the trained coefficients": describe(sorted(layer.trained)),
        "the weighting": describe(plan.weighting),
        "the aggregator": describe(plan.aggregator),
        "the fusion": describe(model.fuse),
    }
    for name, member in model.members.items():
        found[f"the network {name!r}"] = layers_digest(member)
    return found


def _of_calls(fit: PresentFit) -> dict[str, str]:
    found = {
        f"compile({name}=)": describe(_nameless(value))
        for name, value in fit.compiled.items()
        if name != "on_ascent"
    }
    found |= {
        f"fit({name}=)": describe(value)
        for name, value in fit.arguments.items()
        if name not in _NEVER
    }
    found["fit(class_weight=)"] = describe(fit.class_weight)
    found |= {f"the data, {name}": _data(fit.arguments[name]) for name in _ROWS}
    found["the validation data"] = _data(fit.arguments["validation_data"])
    return found


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what differs between two fingerprints; empty: nothing does.

    Args:
        before: that of the checkpoint.
        now: that of the present `fit`.
    """
    found = []
    for name in dict.fromkeys([*before, *now]):
        there, here = before.get(name, "nothing"), now.get(name, "nothing")
        if there == here:
            continue
        short = max(len(there), len(here)) <= _LONGEST
        shown = f" ({there} there, {here} here)" if short else ""
        found.append(f"{name}{shown}")
    return "; ".join(found)


def versions() -> dict[str, str]:
    """Return the versions of what computes; others may round differently."""
    return dict(_versions(keras.backend.backend()))


@functools.cache  # To read them from the disk takes 3 ms, at every checkpoint.
def _versions(backend: str) -> Mapping[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("coloss", "keras", "numpy", backend):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def describe(value: object) -> str:
    """Return a text that equal settings have: of a class, what makes it; no address.

    Args:
        value: an argument of `compile` or `fit`.
    """
    if isinstance(value, Mapping):
        inside = [f"{key}: {describe(inner)}" for key, inner in value.items()]
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        found = [describe(inner) for inner in value]
        return (
            "["
            + ", ".join(found if isinstance(value, list | tuple) else sorted(found))
            + "]"
        )
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, np.ndarray | np.generic):
        return f"array {digest(np.asarray(value))}"
    name = type(value).__qualname__
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return f"{name} {describe(fields)}"
    if hasattr(value, "get_config") and not isinstance(value, type):
        return f"{name}{_config(value)}"
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', name)}"


def _config(value: Any) -> str:
    try:
        config = value.get_config()
    except (NotImplementedError, TypeError, ValueError):
        return ""  # A class that cannot be written: its name tells it.
    return f" {describe(_nameless(config))}"


def _nameless(config: object) -> object:
    """Return a configuration without what Keras counts up in a process."""
    if isinstance(config, Mapping):
        return {
            key: _nameless(inner)
            for key, inner in config.items()
            if key not in _COUNTED or isinstance(inner, Mapping)
        }
    if isinstance(config, list | tuple):
        return [_nameless(inner) for inner in config]
    return config


def _data(value: object) -> str:
    leaves = keras.tree.flatten(value)
    if all(leaf is None or hasattr(leaf, "__array__") for leaf in leaves):
        return digest(value)
    count = getattr(value, "num_batches", None)
    return f"{type(value).__name__}, {count} batches"
