"""What a user wrote as `optimizer`, made into a Keras optimizer.

One optimizer over all variables equals one a member, except where something couples
members (`global_clipnorm`) or moves a member that the objective does not reach
(decoupled weight decay on JAX, averages, constraints). There, and where the user asks
for several, a `JointOptimizer` keeps the members apart.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TypeAlias

import keras
from keras.optimizers import Optimizer

from coloss.joint.members import is_frozen
from coloss.joint.optimizers import inner
from coloss.joint.optimizers.joint_optimizer import (
    ANY,
    Extra,
    JointOptimizer,
    check_names,
)
from coloss.names import nearest

OptimizerOf: TypeAlias = str | Mapping[str, object] | Optimizer
"""One optimizer: its name, its configuration, or an instance."""

OptimizerSpec: TypeAlias = OptimizerOf | Mapping[str, OptimizerOf] | None
"""What `compile(optimizer=)` takes: one for all members, or by member."""

__all__ = ["ANY", "Extra", "JointOptimizer", "check_trainable", "resolve"]


def resolve(
    optimizer: OptimizerSpec,
    members: Mapping[str, keras.Model],
    *,
    reached: Collection[str] | None = None,
    extra: Extra | None = None,
) -> Optimizer | None:
    """Make the Keras optimizer of a joint model from what the user wrote.

    One optimizer for all stays the user's own instance, unless it has
    `global_clipnorm` (each member then gets a clone, for the norm would couple
    them) or the objective leaves a trainable member out (a `JointOptimizer` around
    the instance then keeps that member as it is, to the byte). In a dict each
    member's instance is kept and named after the member; one instance under
    several names is cloned for each, without its state. A `MultiOptimizer` of
    Keras is the user's own affair and returned as it is.

    Args:
        optimizer: name, config or instance for all members; or a dict of these by
            member name, with `"*"` for the members not named.
        members: networks by name, in order.
        reached: names of the members that the objective reaches; None: all.
        extra: trainable variables outside the members (projectors) by the member
            whose optimizer moves them, or a function that returns this at build
            time. The key `"*"` makes a group of its own.

    Returns:
        A Keras optimizer, not yet built; None where `optimizer` is None.

    Raises:
        TypeError: if a value is not an optimizer.
        ValueError: if a name fits no member, or a member has no optimizer.

    Examples:
        >>> resolve({"main": keras.optimizers.Adam(1e-4), "*": "sgd"}, members)
    """
    if isinstance(optimizer, Mapping) and not _is_config(optimizer):
        return _by_member(optimizer, members, reached, extra)
    single = _get(optimizer, "all members")
    if isinstance(single, JointOptimizer):
        return single.bind(members, reached=reached, extra=extra)
    if single is None or isinstance(single, keras.optimizers.MultiOptimizer):
        return single
    scaler = None
    if isinstance(single, keras.optimizers.LossScaleOptimizer):
        scaler, single = single, single.inner_optimizer
        if isinstance(single, JointOptimizer):
            single.bind(members, reached=reached, extra=extra)
            return scaler
    if single.global_clipnorm and len(members) > 1:
        groups = {name: inner.clone(single, name) for name in members}
    elif _leaves_out(members, reached):
        groups = {ANY: single}
    else:
        return scaler or single
    joint = JointOptimizer(groups).bind(
        members, reached=reached, extra=extra, fallback=single
    )
    return joint if scaler is None else _scaled(joint, scaler)


def check_trainable(
    optimizer: Optimizer | None,
    variables: list[keras.Variable],
    members: Mapping[str, keras.Model],
) -> None:
    """Refuse to train when `trainable` changed after `compile`.

    Left alone, JAX stops with an obscure error, TensorFlow ignores the change and
    torch obeys it.

    Args:
        optimizer: the optimizer of the joint model, built or not.
        variables: the trainable variables of the joint model now.
        members: networks by name.

    Raises:
        ValueError: if the built optimizer was built for other variables.
    """
    if optimizer is None or not optimizer.built or inner.same(optimizer, variables):
        return
    key = optimizer._var_key
    before = {key(v) for v in optimizer._trainable_variables}
    changed = before ^ {key(v) for v in variables}
    names = [n for n, m in members.items() if {key(v) for v in m.weights} & changed]
    what = ", ".join(map(repr, names)) or "the joint model"
    raise ValueError(
        f"the trainable variables of {what} changed after `compile` (`trainable` was "
        f"set, or layers were added): found {len(variables)}, the optimizer was built "
        f"for {len(before)}. Call `compile(...)` again, with a new optimizer."
    )


def _by_member(
    given: Mapping[str, OptimizerOf],
    members: Mapping[str, keras.Model],
    reached: Collection[str] | None,
    extra: Extra | None,
) -> JointOptimizer:
    check_names(given, members, reached)
    made = {id(value): _get(value, name) for name, value in given.items()}
    groups: dict[str, Optimizer] = {}
    used: set[int] = set()
    for name in members:
        value = given.get(name, given.get(ANY))
        groups[name] = _own(made[id(value)], name, value, used)
    fallback = made[id(given[ANY])] if ANY in given else None
    return JointOptimizer(groups).bind(
        members, reached=reached, extra=extra, fallback=fallback
    )


def _own(
    optimizer: Optimizer | None, name: str, value: object, used: set[int]
) -> Optimizer:
    """Return the user's instance the first time it is used alone, else a clone."""
    if optimizer is None:
        raise TypeError(
            f"the optimizer of member {name!r} must not be None. To keep a member as "
            "it is, freeze it before `compile`: `member.trainable = False`."
        )
    inner.check({name: optimizer})
    if id(optimizer) != id(value) or id(optimizer) in used:
        return inner.clone(optimizer, name)
    used.add(id(optimizer))
    optimizer.name = name
    return optimizer


def _get(value: OptimizerOf | None, name: str) -> Optimizer | None:
    try:
        return keras.optimizers.get(value)
    except ValueError as error:
        if not isinstance(value, str):
            raise TypeError(
                f"the optimizer of {name!r} must be a Keras optimizer, its name or its "
                f"config; found {value!r}."
            ) from error
        known = [n.lower() for n in dir(keras.optimizers) if n[0].isupper()]
        raise ValueError(
            f"no optimizer {value!r}{nearest(value.lower(), known) or '.'}"
        ) from error


def _is_config(value: Mapping[str, object]) -> bool:
    return isinstance(value.get("class_name"), str) and "config" in value


def _leaves_out(
    members: Mapping[str, keras.Model], reached: Collection[str] | None
) -> bool:
    if reached is None:
        return False
    check_names({ANY: None}, members, reached)
    return any(not is_frozen(m) and n not in reached for n, m in members.items())


def _scaled(
    optimizer: Optimizer, like: keras.optimizers.LossScaleOptimizer
) -> keras.optimizers.LossScaleOptimizer:
    return keras.optimizers.LossScaleOptimizer(
        optimizer,
        initial_scale=like.initial_scale,
        dynamic_growth_steps=like.dynamic_growth_steps,
        name=like.name,
    )


def config_of(optimizer: object) -> Mapping[str, object]:
    """Return what makes an optimizer, its present learning rate included.

    Args:
        optimizer: as `resolve` returned it.

    Returns:
        Its class and configuration; without the latter where there is none.
    """
    found: dict[str, object] = {"class": type(optimizer).__qualname__}
    if isinstance(optimizer, Optimizer):
        with contextlib.suppress(NotImplementedError, TypeError, ValueError):
            found |= optimizer.get_config()
    return MappingProxyType(found)
