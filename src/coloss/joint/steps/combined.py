"""What the balanced steps of all backends have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from coloss.joint.balance.gradient_basis import GradientBasis


def balance_of(model: Any) -> Any:
    """Return the part of a model that changes its train step; None: a plain step."""
    auxiliary = getattr(model, "_auxiliary", None)
    balance = None if auxiliary is None else auxiliary.balance
    return balance if balance is not None and balance.own_step else None


def balanced(
    balance: Any,
    model: Any,
    pull: Any,
    basis: GradientBasis | None,
    variables: Sequence[Any],
) -> list[Any]:
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


def rates_of(model: Any, rates: Any) -> Iterator[tuple[int, Any]]:
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
