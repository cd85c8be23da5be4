"""Where gradients are combined: variables with the same owners are one group."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class ParameterGroup:
    """Variables at which the same summands meet.

    Attributes:
        name: the member, or members that share these variables: `a`, `a+b`.
        owners: their names.
        summands: positions of the summands that reach one of them, rising.
    """

    name: str
    owners: tuple[str, ...]
    summands: tuple[int, ...]


def groups_of(
    members: Mapping[str, keras.Model],
    reached: Sequence[Collection[str]],
    shared: bool = True,
) -> list[ParameterGroup]:
    """Return the groups of built members, in order of first appearance.

    Args:
        members: networks by name.
        reached: for each summand, the members that get a gradient from it.
        shared: whether variables of several members make a group of their own;
            False: one group a member.
    """
    groups: Iterable[tuple[str, ...]] = owners_of(members).values()
    if not shared:
        groups = [(name,) for name, net in members.items() if net.trainable_variables]
    found = []
    for group in dict.fromkeys(groups):
        which = [
            k for k, names in enumerate(reached) if not set(group).isdisjoint(names)
        ]
        if which:
            found.append(ParameterGroup("+".join(group), group, tuple(which)))
    return found


def owners_of(members: Mapping[str, keras.Model]) -> dict[int, tuple[str, ...]]:
    """Return the members that own a trained variable, by its id."""
    found: dict[int, tuple[str, ...]] = {}
    for name, member in members.items():
        for variable in member.trainable_variables:
            before = found.get(id(variable), ())
            if name not in before:
                found[id(variable)] = (*before, name)
    return found


def sharing(members: Mapping[str, keras.Model]) -> tuple[str, ...] | None:
    """Return the names of members that share trained variables; None: nobody does."""
    groups = [owners for owners in owners_of(members).values() if len(owners) > 1]
    return groups[0] if groups else None


def places(
    groups: Sequence[ParameterGroup],
    members: Mapping[str, keras.Model],
    variables: Sequence[keras.Variable],
) -> tuple[list[list[int]], list[int]]:
    """Return where each group's variables stand, and all others.

    Args:
        groups: from `groups_of`, with shared ones apart.
        members: networks by name.
        variables: the trained variables of the joint model.

    Returns:
        Positions for each group, and the positions of the rest.
    """
    owners = owners_of(members)
    index = {group.owners: i for i, group in enumerate(groups)}
    found: list[list[int]] = [[] for _ in groups]
    rest: list[int] = []
    for position, variable in enumerate(variables):
        group = index.get(owners.get(id(variable), ()))
        (rest if group is None else found[group]).append(position)
    return found, rest
