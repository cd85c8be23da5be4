"""Frozen members, computed once for the arrays of a `fit`, and read from there."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from coloss.joint.inputs.assembly import Assembly, Members
from coloss.joint.keras_internals import mask_of
from coloss.joint.members import is_frozen, layers_of
from coloss.joint.outputs.forward import Said, run_members
from coloss.joint.outputs.layer_outputs import Path
from coloss.typing import Nested, Tensor

CHUNK = 256
"""Rows that are computed at a time."""

PREFIX = "coloss: "
"""Begins the name of an entry of `x` that holds what a member says of every row."""


def has_said(x: Mapping[str, object]) -> bool:
    """Return whether entries of `x` hold what members say."""
    return any(str(key).startswith(PREFIX) for key in x)


def split_said(x: Mapping[str, Nested]) -> tuple[dict[str, Nested], dict[str, Said]]:
    """Return the inputs of a step, and what frozen members say of its rows, by name."""
    if not isinstance(x, Mapping):
        return x, {}
    said = {
        key.removeprefix(PREFIX): entry
        for key, entry in x.items()
        if str(key).startswith(PREFIX)
    }
    return {k: entry for k, entry in x.items() if not str(k).startswith(PREFIX)}, said


def say(
    members: Members,
    assembly: Assembly,
    tapped: Mapping[str, tuple[Path, ...]],
    x: Mapping[str, Nested],
    limit: float,
) -> dict[str, Said]:
    """Compute what frozen members say of every row.

    Args:
        members: from `sayable`.
        assembly: which entries of `x` they read.
        tapped: paths of the layers that are read, by member.
        x: arrays (rows, ...) by key.
        limit: bytes that it may take, for all of them.

    Returns:
        By name, those members that change nothing in themselves when they are called,
        add no loss, whose numbers are of the precision in which Keras hands arrays to
        a step, and that fit.
    """
    found = {}
    for name, member in members.items():
        reader = _Reader(name, member, assembly, tapped.get(name, ()))
        said = reader.say({key: x[key] for key in assembly.reads(name)}, limit)
        if said is not None:
            found[name] = said
            limit -= sum(array.nbytes for array in keras.tree.flatten(said))
    return found


def sayable(members: Members) -> dict[str, keras.Model]:
    """Return the members that say the same whenever they are asked, by their form.

    Frozen ones, in inference mode: dropout and augmentation do nothing there. A layer
    with a memory from batch to batch is none.
    """
    return {
        name: member
        for name, member in members.items()
        if member.built
        and member.weights
        and is_frozen(member)
        and not any(getattr(one, "stateful", False) for one in layers_of(member))
    }


@dataclass(frozen=True)
class _Reader:
    """One member, and what is read of it."""

    name: str
    member: keras.Model
    assembly: Assembly
    paths: tuple[Path, ...]

    def say(self, x: Mapping[str, Nested], limit: float) -> Said | None:
        """Return what it says of every row; None: it may not be kept."""
        leaves = keras.tree.flatten(dict(x))
        rows = len(leaves[0])
        if any(leaf.dtype.kind == "f" and np.isinf(leaf).any() for leaf in leaves):
            return None  # A step that meets it says so.
        before, seeds = _marks(self.member), _seeds(self.member)
        chunks: list[Said] = []
        for start in range(0, rows, CHUNK):
            stop = start + CHUNK
            part = keras.tree.map_structure(
                lambda array, start=start, stop=stop: array[start:stop], dict(x)
            )
            chunks.append(self._chunk(part))
            if start:
                continue
            if _marks(self.member) != before:
                for variable, value in seeds:
                    variable.assign(value)
                return None
            if self.member.losses or not _fits(chunks[0], rows, limit):
                return None
        whole = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *chunks)
        if whole["present"].all():
            del whole["present"]
        return whole

    def _chunk(self, x: Mapping[str, Nested]) -> Said:
        name, members = self.name, {self.name: self.member}
        complete = [key for key, entry in x.items() if _rows_with_input(entry).all()]
        tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, dict(x))
        own = self.assembly.by_member(members, tensors, complete=complete)[name]
        # In NumPy: outside of a program, JAX compiles each look at the rows anew.
        own = keras.tree.map_structure(_numpy, own)
        present = _rows_with_input(own)
        own = keras.tree.map_structure(lambda array: _with_zeros(array, present), own)
        forward = run_members(members, {name: own}, False, {name: self.paths}, [name])
        said: Said = {
            "output": _numpy(forward.outputs[name]),
            "present": present,
            "taps": {},
            "tap masks": {},
        }
        if (mask := forward.masks[name]) is not None:
            said["mask"] = _numpy(mask)
        for number, path in enumerate(self.paths):
            value = forward.taps[name, path]
            said["taps"][str(number)] = _numpy(value)
            if (mask := mask_of(value)) is not None:
                said["tap masks"][str(number)] = _numpy(mask)
        return said


def _fits(chunk: Said, rows: int, limit: float) -> bool:
    """Return whether arrays like these, of all rows, may be handed to steps."""
    arrays = keras.tree.flatten(chunk)
    size = sum(array.nbytes for array in arrays) / len(arrays[0]) * rows
    plain = (np.dtype(bool), np.dtype(keras.config.floatx()))
    return size <= limit and all(
        array.dtype in plain or array.dtype.kind in "iu" for array in arrays
    )


def _rows_with_input(arrays: Nested) -> np.ndarray:
    """Return which rows are not NaN throughout in any of the arrays: (rows,) bool."""
    leaves = keras.tree.flatten(arrays)
    present = np.ones(len(leaves[0]), bool)
    for leaf in leaves:
        if leaf.dtype.kind == "f":
            axes = tuple(range(1, leaf.ndim))
            present &= ~np.isnan(leaf).all(axis=axes)
    return present


def _with_zeros(array: np.ndarray, present: np.ndarray) -> Tensor:
    """Return an array as a tensor, with zeros on the rows that have no input."""
    if not present.all():
        array = array.copy()
        array[~present] = 0
    return keras.ops.convert_to_tensor(array)


def _numpy(tensor: Tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _marks(member: keras.Model) -> list[int]:
    """Return a number for the value of each variable."""
    return [zlib.crc32(_numpy(one).tobytes()) for one in member.variables]


def _seeds(member: keras.Model) -> list[tuple[keras.Variable, np.ndarray]]:
    weights = {id(variable) for variable in member.weights}
    return [(one, _numpy(one)) for one in member.variables if id(one) not in weights]
