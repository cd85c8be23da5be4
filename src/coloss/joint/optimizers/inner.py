"""The inner optimizers of a joint one: checked, cloned, built, saved by member."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras.optimizers import Optimizer

from coloss.typing import Store

_KEPT = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")


def clone(optimizer: Optimizer, name: str) -> Optimizer:
    """Return a fresh optimizer of the same configuration, without its state.

    Args:
        optimizer: a Keras optimizer.
        name: name of the new one.

    Returns:
        The new optimizer; variables excluded from weight decay stay excluded.

    Raises:
        ValueError: if the configuration does not make an optimizer.
    """
    try:
        fresh = type(optimizer).from_config({**optimizer.get_config(), "name": name})
    except Exception as error:
        raise ValueError(
            f"the optimizer {optimizer.name!r} cannot be made anew for {name!r} from "
            f"its configuration ({error}). Give each member an instance of its own: "
            '{"...": ..., "...": ...}.'
        ) from error
    for attribute in _KEPT:
        if hasattr(optimizer, attribute):
            setattr(fresh, attribute, getattr(optimizer, attribute))
    return fresh


def check(optimizers: Mapping[str, Optimizer]) -> None:
    """Refuse what cannot be an inner optimizer.

    Args:
        optimizers: what was given, by member name.

    Raises:
        TypeError: if one is not a Keras optimizer.
        ValueError: if there is none, one is given twice, or one wraps others.
    """
    if not optimizers:
        raise ValueError("`optimizers` must hold at least one; found none.")
    seen: dict[int, str] = {}
    for member, optimizer in optimizers.items():
        _check_one(member, optimizer)
        if id(optimizer) in seen:
            raise ValueError(
                f"members {seen[id(optimizer)]!r} and {member!r} were given one and "
                "the same optimizer; give each its own, or use `resolve`, which "
                "clones it."
            )
        seen[id(optimizer)] = member


def _check_one(member: str, optimizer: Optimizer) -> None:
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise TypeError(
            f"the optimizer of member {member!r} must be a Keras optimizer; found "
            f"{optimizer!r}."
        )
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            f"the optimizer of member {member!r} is a LossScaleOptimizer, but there is "
            "one loss and so one scale. Give each member its optimizer without it: "
            "under the policy 'mixed_float16' Keras scales the loss by itself."
        )
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        raise ValueError(
            f"the optimizer of member {member!r} is a {type(optimizer).__name__}, "
            "which cannot be a part of another; give a single optimizer."
        )


def common_scale(optimizers: Mapping[str, Optimizer]) -> float | None:
    """Return the loss scale factor on which the optimizers agree.

    Args:
        optimizers: Keras optimizers by member name.

    Returns:
        The factor, or None.

    Raises:
        ValueError: if they differ.
    """
    factors = {name: opt.loss_scale_factor for name, opt in optimizers.items()}
    if len(set(factors.values())) > 1:
        raise ValueError(
            "`loss_scale_factor` must be the same for all members, for there is one "
            f"loss; found {factors}."
        )
    return next(iter(factors.values()))


def build(
    member: str, optimizer: Optimizer, variables: Sequence[keras.Variable]
) -> None:
    """Build an optimizer for its variables.

    Args:
        member: the name for the message.
        optimizer: a Keras optimizer.
        variables: what it moves.

    Raises:
        ValueError: if it was built for other variables before.
    """
    if not optimizer.built:
        optimizer.build(variables)
    elif not same(optimizer, variables):
        raise ValueError(
            f"the optimizer of member {member!r} was built for other variables before "
            "(by another model, or before `trainable` changed). Give a new one to "
            "`compile`."
        )


def same(optimizer: Optimizer, variables: Sequence[keras.Variable]) -> bool:
    """Return whether a built optimizer was built for just these variables."""
    known = {optimizer._var_key(v) for v in optimizer._trainable_variables}
    return known == {optimizer._var_key(v) for v in variables}


def save(
    store: Store, iterations: keras.Variable, groups: Mapping[str, Optimizer]
) -> None:
    """Write the state of each optimizer under its member's name.

    Args:
        store: a store of arrays by key.
        iterations: the step counter of the joint optimizer.
        groups: optimizers by member name.
    """
    store["iteration"] = keras.ops.convert_to_numpy(iterations)
    for name, optimizer in groups.items():
        for index, variable in enumerate(optimizer.variables):
            store[f"{name}.{index}"] = keras.ops.convert_to_numpy(variable)


def load(
    store: Store, iterations: keras.Variable, groups: Mapping[str, Optimizer]
) -> None:
    """Read what `save` wrote; a group that does not fit is left with a warning.

    Args:
        store: a store of arrays by key.
        iterations: the step counter of the joint optimizer.
        groups: optimizers by member name.
    """
    keys = list(store.keys())
    if "iteration" in keys:
        iterations.assign(np.asarray(store["iteration"]))
    for name in sorted({key.rpartition(".")[0] for key in keys} - {"", *groups}):
        _skip(name, "this model has no such optimizer")
    for name, optimizer in groups.items():
        count = sum(key.rpartition(".")[0] == name for key in keys)
        variables = optimizer.variables
        if count != len(variables):
            _skip(name, f"it holds {count} arrays, expected {len(variables)}")
            continue
        values = [np.asarray(store[f"{name}.{i}"]) for i in range(count)]
        wrong = [
            (value.shape, tuple(variable.shape))
            for value, variable in zip(values, variables, strict=True)
            if value.shape != tuple(variable.shape)
        ]
        if wrong:
            _skip(name, f"an array has shape {wrong[0][0]}, expected {wrong[0][1]}")
            continue
        for value, variable in zip(values, variables, strict=True):
            variable.assign(value)


def _skip(name: str, reason: str) -> None:
    warnings.warn(
        f"the saved optimizer state of {name!r} was not loaded: {reason}. Training "
        "goes on from a fresh optimizer for it.",
        stacklevel=2,
    )
