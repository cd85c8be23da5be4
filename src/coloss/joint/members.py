"""The named networks of a joint model: which objects are accepted, and their places."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import keras

from coloss.names import unknown
from coloss.objective.expression import check_identifier
from coloss.objective.functions import FUNCTIONS
from coloss.typing import Nested

FUSED = "fused"


def check_members(members: object, fused: bool) -> dict[str, keras.Model]:
    """Return the members as a dict, checked.

    Args:
        members: mapping of name to `keras.Model`.
        fused: whether the joint model adds a prediction of its own.

    Raises:
        TypeError: if `members` is no mapping, or a member is no `keras.Model`.
        ValueError: for no member, a name that cannot stand in an objective, or a
            member with several outputs.
    """
    if not isinstance(members, Mapping):
        raise TypeError(
            "`members` must map names to Keras models, such as "
            f'{{"acoustic": net1, "visual": net2}}; found {type(members).__name__}.'
        )
    if not members:
        raise ValueError("`members` is empty; a joint model needs at least one.")
    for name, member in members.items():
        check_identifier(name, "member")
        if name in FUNCTIONS:
            raise ValueError(
                f"member {name!r} has the name of a function of the objective "
                "language; rename it."
            )
        if name == FUSED and fused:
            raise ValueError(
                f"`fuse` adds a prediction named {FUSED!r}; no member may have "
                "that name."
            )
        if not isinstance(member, keras.Model):
            raise TypeError(
                f"member {name!r} must be a keras.Model; found "
                f"{type(member).__name__}. Wrap a layer as keras.Sequential([layer])."
            )
        # Where it is visible; of subclassed networks at their first call.
        if len(getattr(member, "outputs", None) or ()) > 1:
            check_one_output(name, getattr(member, "output", member.outputs))
    return dict(members)


def check_one_output(name: str, output: Nested) -> None:
    """Refuse a member whose output is not one tensor.

    Args:
        name: the member.
        output: what it returns, symbolic or not.

    Raises:
        ValueError: for a list or a dict, with the way to one of its tensors.
    """
    if not isinstance(output, Mapping | list | tuple):
        return
    keys = [repr(key) for key in output] if isinstance(output, Mapping) else []
    what = f"a dict ({', '.join(keys)})" if keys else f"{len(output)} in a list"
    raise ValueError(
        f"member {name!r} has several outputs, {what}; a member has one tensor. Make a "
        f"network of the one that is meant: keras.Model(network.inputs, "
        f"network.output[{keys[0] if keys else 0}]); a subclassed one returns it from "
        "`call`."
    )


def check_names(
    given: Collection[str], valid: Collection[str], what: str, complete: bool = False
) -> None:
    """Refuse names that no member has.

    Args:
        given: the names found.
        valid: the names that exist.
        what: where they were found, such as "`loss`".
        complete: whether every valid name must be given, too.

    Raises:
        ValueError: naming the wrong or the missing name, and the nearest valid one.
    """
    for name in given:
        if name not in valid:
            raise ValueError(f"{what}: {unknown('member', name, valid)}.")
    missing = [name for name in valid if name not in given]
    if complete and missing:
        raise ValueError(
            f"{what}: nothing for {', '.join(map(repr, missing))}; expected one "
            f"entry for each of {', '.join(valid)}."
        )


def is_frozen(member: keras.Model) -> bool:
    """Return whether a member is not trained: it then runs in inference mode."""
    if not member.trainable:
        return True
    return member.built and bool(member.weights) and not member.trainable_weights


def layers_of(member: keras.Model) -> list[keras.layers.Layer]:
    """Return every layer below a member, nested ones included, without the member."""
    return member._flatten_layers(include_self=False)
