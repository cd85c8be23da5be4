"""A joint model to and from its configuration, and how it prints."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

import keras
import numpy as np

from coloss import aggregation
from coloss.joint.base import JointBase
from coloss.joint.inputs.several import Inputs
from coloss.joint.saving import shared_layers
from coloss.joint.values.coefficients import Coefficient
from coloss.objective import ObjectiveWarning
from coloss.typing import Shape, Store
from coloss.weighting import METHODS, Trainable, schedules

Joint = TypeVar("Joint")

_serialize = keras.saving.serialize_keras_object
_deserialize = keras.saving.deserialize_keras_object


def model_config(model: JointBase) -> dict[str, Any]:
    """Return the members, in order, and how they are fused."""
    shared = shared_layers.places(model.members)
    return {
        "name": model.name,
        "members": [[name, _serialize(model[name])] for name in model],
        "shared": shared,
        "fuse": _serialize(model.fuse) if callable(model.fuse) else model.fuse,
        "inputs": {n: one.get_config() for n, one in model.assembly.inputs.items()},
        "dtype": model.dtype_policy.name,
    }


def model_from_config(
    cls: Callable[..., Joint],
    config: dict[str, Any],
    custom_objects: dict[str, Any] | None = None,
) -> Joint:
    """Return the joint model that `model_config` described."""
    members = {
        name: _deserialize(
            # A copy: Keras takes apart what it reads.
            shared_layers.with_own_ids(member, name),
            custom_objects=custom_objects,
        )
        for name, member in config["members"]
    }
    members = shared_layers.relinked(members, config.get("shared", []))
    fuse = config.get("fuse")
    if isinstance(fuse, dict):
        fuse = _deserialize(fuse, custom_objects=custom_objects)
    inputs = {
        name: Inputs.from_config(one) for name, one in config.get("inputs", {}).items()
    }
    with _under(config.get("dtype")):
        return cls(members, fuse=fuse, name=config.get("name"), inputs=inputs)


@contextmanager
def _under(policy: str | None) -> Iterator[None]:
    """Make what is made in a block under a policy of data types, as it once was.

    The policy in force decides on the loss scale, and in which precision the layers
    beside the members compute. Older files do not tell it.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def compile_config(model: JointBase) -> dict[str, Any]:
    """Return the arguments of `compile`, ready for JSON.

    Coefficients are saved as they are now; schedules as schedules. A schedule that
    is a plain function cannot be saved: its present value is, with a warning.
    """
    layer = model.coefficient_layer
    saved: dict[str, Any] = {}
    for name, value in layer.numbers().items():
        if name in layer.trained:
            saved[name] = {"trainable": value}
            continue
        schedule = layer.schedules.get(name)
        if schedule is None:
            saved[name] = value
            continue
        try:
            saved[name] = schedules.to_config(schedule, name)
        except TypeError:
            warnings.warn(
                f"the schedule of coefficient {name!r} is a plain function, which "
                f"cannot be saved; its present value {value:g} is. Pass the schedule "
                "to `compile` again after loading.",
                ObjectiveWarning,
                stacklevel=2,
            )
            saved[name] = value
    config = _serialize(dict(model._arguments))
    config["objective"] = str(model.objective)
    config["coefficients"] = saved
    plan = model.auxiliary.balance.plan
    if plan.weighting is not None:
        config["weighting"] = METHODS.to_config(plan.weighting)
    if plan.aggregator is not None:
        config["aggregator"] = aggregation.to_config(plan.aggregator)
    config["projectors"] = model.auxiliary.projectors.shapes()
    config["trained"] = bool(model.optimizer is not None and model.optimizer.built)
    return config


def compile_from_config(model: JointBase, config: dict[str, Any]) -> None:
    """Compile as `compile_config` described, and create the optimizer's variables."""
    config = dict(config)
    objective, saved = config.pop("objective"), config.pop("coefficients")
    trained = config.pop("trained", True)
    shapes = config.pop("projectors", None)
    coefficients = {name: _coefficient(name, value) for name, value in saved.items()}
    methods_ = {
        key: config.pop(key) for key in ("weighting", "aggregator") if key in config
    }
    arguments = _deserialize(config)
    on_ascent = arguments.pop("on_ascent")
    with _under(model.dtype_policy.name):
        # The author was told when it was compiled first.
        model.compile(
            objective=objective,
            coefficients=coefficients,
            on_ascent="allow",
            **methods_,
            **arguments,
        )
        if shapes is not None:
            model.auxiliary.projectors.create_from(shapes)
    model._arguments = MappingProxyType({**model._arguments, "on_ascent": on_ascent})
    # Only what was built has a state in the file.
    if trained and all(member.built for member in model.members.values()):
        model.optimizer.build(model.trainable_variables)


def _coefficient(name: str, value: object) -> Coefficient:
    if isinstance(value, dict) and "trainable" in value:
        return Trainable(value["trainable"])
    return schedules.from_config(value, name)


def save_own(model: JointBase, store: Store) -> None:
    """Write what stands beside the weights: names, and the seeds of layers.

    Keras leaves the state of random layers out: a network that is saved and loaded
    would drop other units than one that is not.
    """
    text = json.dumps(sorted(model)).encode()
    store["members"] = np.frombuffer(text, dtype="uint8")
    for name, member in model.members.items():
        seeds = [keras.ops.convert_to_numpy(one.value) for one in _seeds(member)]
        if seeds:
            store[f"{_SEEDS}{name}"] = np.stack(seeds).astype("int64")


_SEEDS = "seeds of "


def load_own(model: JointBase, store: Store) -> None:
    """Refuse a file of other members, and load the seeds of layers.

    Files of older versions hold no seeds; and where a network has more random layers,
    or fewer, than the file, its seeds stay what they are.

    Raises:
        ValueError: if the names in the file are not those of the model.
    """
    found = json.loads(bytes(np.asarray(store["members"])))
    if found != sorted(model):
        raise ValueError(
            f"the file holds the members {', '.join(found)}; the joint model has "
            f"{', '.join(sorted(model))}."
        )
    for name, member in model.members.items():
        key, variables = f"{_SEEDS}{name}", _seeds(member)
        if key not in store:
            continue
        values = np.asarray(store[key])
        if len(values) == len(variables):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value.astype(variable.dtype))


def _seeds(member: keras.Model) -> list[keras.Variable]:
    """Return the states of all random layers of a network, in order."""
    weights = {id(weight) for weight in member.weights}
    return [one for one in member.variables if id(one) not in weights]


def print_summary(
    model: JointBase, print_fn: Callable[[str], object], options: Mapping[str, object]
) -> None:
    """Print a table of the members, then each member's own summary."""
    rows = [("member", "model", "input", "output", "parameters", "trainable")]
    for name, member in model.members.items():
        counts = [
            f"{sum(math.prod(weight.shape) for weight in weights):,}"
            for weights in (_sized(member), member.trainable_weights)
        ]
        shapes = [
            str(shape_of(member, attribute) or "?")
            for attribute in ("input_shape", "output_shape")
        ]
        rows.append((name, member.name, *shapes, *counts))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    print_fn(f'Joint model: "{model.name}"\n' + "\n".join(map(str.rstrip, lines)))
    if model._compiled_settings is not None:
        print_fn(f"Objective: {model.objective}")
    for name, inputs in model.assembly.inputs.items():
        print_fn(f"Inputs of {name}: {inputs}")
    for name, member in model.members.items():
        print_fn(f"\nMember: {name}")
        member.summary(print_fn=print_fn, **options)


def _sized(member: keras.Model) -> list[keras.Variable]:
    return member.weights if member.built else []


def shape_of(member: keras.Model, attribute: str) -> Shape | Mapping[str, Shape] | None:
    """Return `input_shape` or `output_shape`; None where a network has none yet."""
    try:
        return getattr(member, attribute)
    except (AttributeError, ValueError):
        return None
