"""Refusals of weightings, aggregators and trained coefficients, before training."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from coloss.joint.autodiff import replicas
from coloss.joint.balance.parameter_groups import sharing
from coloss.joint.balance.plan import Plan
from coloss.joint.values.coefficients import Coefficient, is_trained, starting_values
from coloss.objective import Objective
from coloss.weighting import trainable


def check_balance(
    plan: Plan,
    objective: tuple[Objective, Mapping[str, keras.Model], Mapping[str, Coefficient]],
    optimizer: keras.optimizers.Optimizer,
    scaled: bool,
) -> Plan:
    """Refuse what the train step cannot do.

    Args:
        plan: the weighting and the aggregator.
        objective: bound, with the members and the coefficients as given.
        optimizer: resolved.
        scaled: whether Keras will scale the loss for float16.

    Returns:
        The plan.

    Raises:
        ValueError: with the reason.
    """
    bound, members, coefficients = objective
    _check_trained(bound, tuple(members), coefficients)
    if plan.is_plain:
        return plan
    name = type(plan.aggregator or plan.weighting).__name__
    if replicas() > 1:
        raise ValueError(
            f"{name} needs the whole batch; under a TensorFlow strategy each of the "
            f"{replicas()} replicas sees a part of it. Train on one device, or on JAX "
            "with keras.distribution."
        )
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    factor = getattr(optimizer, "loss_scale_factor", None)
    if plan.combines(plan.level_for(sharing(members))) and (
        scaled or scaling or factor
    ):
        raise ValueError(
            f"{name} compares gradients, which float16 with a scaled loss lets "
            'overflow. Use the policy "mixed_bfloat16" or "float32", no loss scale, '
            'or aggregation_level="output".'
        )
    return plan


def _check_trained(
    objective: Objective,
    members: tuple[str, ...],
    coefficients: Mapping[str, Coefficient],
) -> None:
    values = starting_values(coefficients)
    for name, value in coefficients.items():
        if is_trained(value):
            trainable.check(name, objective.expression, members, values)
