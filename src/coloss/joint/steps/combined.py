"""What the balanced steps of all backends have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras

from coloss.joint.balance.gradient_basis import GradientBasis
from coloss.joint.balance.gramian import Pull
from coloss.joint.balance.state import Balance
from coloss.joint.base import StepBase
from coloss.typing import Tensor


def balance_of(model: StepBase) -> Balance | None:
    """Return the part of a model that changes its train step; None: a plain step."""
    auxiliary = getattr(model, "_auxiliary", None)
    balance = None if auxiliary is None else auxiliary.balance
    return balance if balance is not None and balance.own_step else None


def balanced(
    balance: Balance,
    model: StepBase,
    pull: Pull,
    basis: GradientBasis | None,
    variables: Sequence[keras.Variable],
) -> list[Tensor]:
    """Return the gradient that moves each variable.

    Args:
        balance: the weighting and the aggregator.
        model: the joint model.
        pull: from factors of values, by position, and positions of variables to the
            gradient there.
        basis: what the values are; None: there is one, the loss.
        variables: the trained variables.
    """
    if basis is not None:
        found = balance.gradients(pull, basis, model.members, variables)
    else:
        found = pull({0: 1.0}, list(range(len(variables))))
    return balance.weigher.noised(found)


def rates_of(model: StepBase, rates: Tensor | None) -> Iterator[tuple[int, Tensor]]:
    """Yield the position of each variable whose update is scaled, and by how much.

    Args:
        model: the joint model.
        rates: (M,) multipliers of the networks; None: nothing is scaled.
    """
    if rates is None:
        return
    networks = model._auxiliary.balance.networks
    # A shared variable belongs to the first of its members.
    owner: dict[int, int] = {}
    for index, name in enumerate(networks):
        for variable in model.members[name].trainable_variables:
            owner.setdefault(id(variable), index)
    for place, variable in enumerate(model.trainable_variables):
        if id(variable) in owner:
            yield place, rates[owner[id(variable)]]
