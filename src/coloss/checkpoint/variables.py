"""Every variable of a joint model that training reads, and its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from coloss.checkpoint.files import CheckpointError
from coloss.distributed import local
from coloss.joint.base import JointBase
from coloss.joint.keras_internals import sync_variables

OPTIMIZER, METRICS = "the optimizer", "metrics"
"""Groups that only a training reads."""


def read(model: JointBase, *, metrics: bool) -> dict[str, object]:
    """Return all values, in groups; they may change with the next step.

    Args:
        model: compiled, between two steps.
        metrics: whether the running sums of the metrics are among them.
    """
    sync_variables(model)
    groups = _groups(model, metrics=metrics)
    for variables in groups.values():
        for variable in variables:
            # On a device of its own memory, all copies begin before one is waited for.
            getattr(variable.value, "copy_to_host_async", lambda: None)()
    return {
        group: {
            "values": [_numpy(variable) for variable in variables],
            "trainable": [bool(variable.trainable) for variable in variables],
        }
        for group, variables in groups.items()
    }


def write(model: JointBase, states: Mapping[str, Any]) -> None:
    """Set what `read` returned.

    Args:
        model: compiled and built.
        states: values by group.

    Raises:
        CheckpointError: if the variables are others; nothing is changed then.
    """
    groups = _groups(model, metrics=METRICS in states)
    for group, state in states.items():
        _check(group, groups.get(group, []), state)
    for group, state in states.items():
        for variable, value in zip(groups[group], state["values"], strict=True):
            variable.assign(value)


def _groups(model: JointBase, *, metrics: bool) -> dict[str, Sequence[keras.Variable]]:
    found: dict[str, Sequence[keras.Variable]] = {
        f"the network {name!r}": member.variables
        for name, member in model.members.items()
    }
    known = {id(variable) for own in found.values() for variable in own}
    beside = [one for one in model.variables if id(one) not in known]
    found["coefficients, projectors, weights and gates"] = beside
    if model.optimizer is not None:
        found[OPTIMIZER] = model.optimizer.variables
    if metrics:
        found[METRICS] = model.metrics_variables
    return found


def _numpy(variable: keras.Variable) -> np.ndarray:
    if keras.backend.backend() == "jax":
        return np.asarray(local(variable.value))  # Keras would copy it.
    return keras.ops.convert_to_numpy(variable.value)


def _check(
    group: str, variables: Sequence[keras.Variable], state: Mapping[str, Any]
) -> None:
    values = state["values"]
    if len(variables) != len(values):
        raise CheckpointError(
            f"the checkpoint holds {len(values)} variables of {group}; here are "
            f"{len(variables)}."
        )
    for variable, value, trainable in zip(
        variables, values, state["trainable"], strict=True
    ):
        if tuple(variable.shape) != tuple(np.shape(value)):
            raise CheckpointError(
                f"{group}: {variable.path!r} has the shape {tuple(variable.shape)}; "
                f"{tuple(np.shape(value))} is in the checkpoint."
            )
        if bool(variable.trainable) != trainable:
            was = "trained" if trainable else "frozen"
            raise CheckpointError(
                f"{group}: {variable.path!r} was {was} when the checkpoint was "
                "written, and is not now. Set `trainable` as it was before `fit`."
            )
