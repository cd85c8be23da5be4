"""From `x`, by key, to what each member reads: the one place that knows the difference.

A member without `Inputs` reads the entry of its own name. One with `Inputs` reads
several, which are gathered here, never stored: what is kept, cut into batches and moved
to the device is `x` as it was given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import keras
from keras import ops

from coloss.joint.inputs.input_dropout import InputDropout
from coloss.joint.inputs.input_order import (
    input_order,
    takes_a_list,
    takes_names,
    zeros_for,
)
from coloss.joint.inputs.missing_rows import clean, replace_rows
from coloss.joint.inputs.several import Inputs
from coloss.joint.members import check_names, is_frozen
from coloss.names import nearest, unknown
from coloss.typing import Nested, Tensor

Members = Mapping[str, keras.Model]


class Assembly:
    """Which entries of `x` every member reads.

    Args:
        members: the networks.
        inputs: of members that read other entries than the one of their own name.

    Attributes:
        inputs: the same, checked.
        keys: the names of the entries of `x`.
        dropout: draws what is left out in training; None where nothing ever is.

    Raises:
        TypeError: if `inputs` is no dict of `Inputs`.
        ValueError: for a name that no member has, or a network that cannot take them.
    """

    def __init__(
        self, members: Members, inputs: Mapping[str, Inputs] | None = None
    ) -> None:
        """Check the names, and the networks that are built."""
        self.inputs = MappingProxyType(_checked(members, inputs or {}))
        own = [name for name in members if name not in self.inputs]
        others = [key for one in self.inputs.values() for key in one.keys]
        self.keys = tuple(dict.fromkeys([*own, *others]))
        dropped = any(one.dropout for one in self.inputs.values())
        self.dropout = InputDropout() if dropped else None

    def reads(self, name: str) -> tuple[str, ...]:
        """Return the keys that a member reads."""
        return self.inputs[name].keys if name in self.inputs else (name,)

    def order(self, name: str, member: keras.Model) -> tuple[str, ...]:
        """Return the keys that a member reads, as its network takes them."""
        if name not in self.inputs:
            return (name,)
        return input_order(name, member, self.inputs[name].keys)

    def own(self, members: Members) -> dict[str, keras.Model]:
        """Return the members that read the entry of their own name, and only that."""
        return {name: one for name, one in members.items() if name not in self.inputs}

    def complete(self, keys: Collection[str]) -> list[str]:
        """Return the members of which nothing is missing.

        Args:
            keys: of `x`, those that are there on every row.
        """
        names = {*self.inputs, *(key for key in self.keys if key not in self.inputs)}
        return [name for name in names if all(k in keys for k in self.reads(name))]

    def check_keys(
        self, given: Collection[str], what: str = "`x`", complete: bool = True
    ) -> None:
        """Refuse entries of `x` that nobody reads, or that are not there.

        Args:
            given: the keys found.
            what: where they were found.
            complete: whether every key must be given.

        Raises:
            ValueError: naming the wrong or the missing key, and the nearest one.
        """
        if not self.inputs:
            check_names(given, self.keys, what, complete)
            return
        readers = {key: n for n, one in self.inputs.items() for key in one.keys}
        for key in self.keys if complete else ():
            if key not in given and key in readers:
                raise ValueError(
                    f"{what}: member {readers[key]!r} reads {key!r}, which is not "
                    f"there{nearest(key, given) or ';'} (found: "
                    f"{', '.join(map(str, given)) or 'nothing'})"
                )
        for key in given:
            if key not in self.keys:
                raise ValueError(f"{what}: {unknown('input', key, self.keys)}.")
        check_names(given, self.keys, what, complete)

    def readable(self, members: Members, keys: Collection[str]) -> list[str]:
        """Return the members that can be run on these entries of `x` alone.

        Args:
            members: the networks.
            keys: of `x`. A member with `missing="zero"` does with one of its own.
        """
        return [name for name in members if self._is_readable(name, members, keys)]

    def _is_readable(self, name: str, members: Members, keys: Collection[str]) -> bool:
        reads = self.reads(name)
        lacking = [key for key in reads if key not in keys]
        if not lacking:
            return True
        if name not in self.inputs or self.inputs[name].missing != "zero":
            return False
        shaped = len(getattr(members[name], "inputs", None) or ()) == len(reads)
        return shaped and len(lacking) < len(reads)

    def by_member(
        self,
        members: Members,
        x: Mapping[str, Nested],
        training: bool | None = False,
        complete: Collection[str] = (),
    ) -> dict[str, Nested]:
        """Return what each member reads, in the structure that its network takes.

        Args:
            members: the networks, those only that `x` has enough for.
            x: arrays, tensors or symbols by key.
            training: whether inputs may be left out at random.
            complete: keys known to be there on every row; not looked at.

        Returns:
            By member. A row that the member does not see has NaN throughout one of its
            inputs, as everywhere; what `Inputs` makes zeros of is zeros.
        """
        found = {}
        for name, member in members.items():
            if name not in self.inputs:
                found[name] = x[name]
                continue
            parts = self._parts(name, member, x)
            drawn = bool(training) and not is_frozen(member)
            absent = [key for key in parts if key not in x]
            parts = self._filled(self.inputs[name], parts, drawn, complete, absent)
            found[name] = _packed(name, member, parts)
        return found

    def _parts(
        self, name: str, member: keras.Model, x: Mapping[str, Nested]
    ) -> dict[str, Nested]:
        reads = self.reads(name)
        parts = {key: x[key] for key in reads if key in x}
        if len(parts) < len(reads):
            rows = ops.shape(keras.tree.flatten(parts)[0])[0]
            absent = zeros_for(name, member, reads, rows)
            parts = {key: parts.get(key, absent[key]) for key in reads}
        return parts

    def _filled(
        self,
        inputs: Inputs,
        parts: dict[str, Nested],
        training: bool,
        complete: Collection[str],
        absent: Collection[str],
    ) -> dict[str, Nested]:
        """Return inputs with zeros where one is missing, or was left out."""
        rate = inputs.dropout if training else 0.0
        whole = all(key in complete for key in inputs.keys) and not absent
        leaves = keras.tree.flatten(parts)
        symbolic = any(isinstance(leaf, keras.KerasTensor) for leaf in leaves)
        if symbolic or (not rate and (whole or inputs.missing == "drop")):
            return parts
        present = _present(parts, complete, absent)
        stays = present
        if rate and self.dropout is not None and len(inputs.keys) > 1:
            stays = self.dropout.stays(present, rate)
        if inputs.missing == "zero":
            # A row that lacks all of them stays what it is: missing.
            some = ops.any(present, axis=1, keepdims=True)
            kept = ops.logical_or(stays, ops.logical_not(some))
        else:
            kept = ops.logical_or(stays, ops.logical_not(present))
        return {
            key: keras.tree.map_structure(
                lambda leaf, place=place: replace_rows(leaf, kept[:, place], 0), part
            )
            for place, (key, part) in enumerate(parts.items())
        }


def _present(
    parts: Mapping[str, Nested], complete: Collection[str], absent: Collection[str]
) -> Tensor:
    """Return which rows have which input: (rows, inputs) bool."""
    rows = ops.shape(keras.tree.flatten(dict(parts))[0])[0]
    found = []
    for key, part in parts.items():
        known = None if key in complete or key in absent else clean(part)[1]
        if known is None:
            known = ops.full((rows,), key not in absent, dtype="bool")
        found.append(known)
    return ops.stack(found, axis=1)


def _packed(name: str, member: keras.Model, parts: Mapping[str, Nested]) -> Nested:
    order = input_order(name, member, tuple(parts))
    if takes_names(member):
        return {key: parts[key] for key in order}
    if len(parts) == 1 and not takes_a_list(member):
        return parts[order[0]]
    return keras.tree.flatten([parts[key] for key in order])


def _checked(members: Members, inputs: object) -> dict[str, Inputs]:
    if not isinstance(inputs, Mapping):
        raise TypeError(
            "`inputs` must map members to what they read, such as "
            f'{{"all": coloss.Inputs("acoustic", "visual")}}; found '
            f"{type(inputs).__name__}."
        )
    for name, one in inputs.items():
        if name not in members:
            raise ValueError(f"`inputs`: {unknown('member', name, members)}.")
        if not isinstance(one, Inputs):
            raise TypeError(
                f"`inputs` of {name!r} must be a coloss.Inputs, such as "
                f'coloss.Inputs("acoustic", "visual"); found {one!r}.'
            )
        for key in one.keys:
            if key in inputs and key not in getattr(inputs[key], "keys", ()):
                raise ValueError(
                    f"`inputs` of {name!r} names {key!r}, a member that reads other "
                    "entries of `x` and has none of its own. A member reads entries of "
                    f"`x`, no outputs: name {', '.join(map(repr, inputs[key].keys))}."
                )
        input_order(name, members[name], one.keys)
    return dict(inputs)
