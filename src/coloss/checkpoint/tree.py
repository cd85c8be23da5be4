"""Values of any nesting as JSON and arrays, and back: no pickle, no code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import keras
import numpy as np

from coloss.checkpoint.arrays import is_known

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
"""What JSON holds. Python's own reads every float back to the bit, NaN included."""

NO_ARRAYS: Mapping[str, np.ndarray] = MappingProxyType({})

KIND = "kind"
"""The key of a dict that stands for what JSON does not know."""


def pack(
    value: object,
    arrays: dict[str, np.ndarray],
    where: str,
    spare: Mapping[str, np.ndarray] = NO_ARRAYS,
) -> Plain:
    """Return a value as JSON holds it; copies of arrays are put aside.

    Nothing of what is returned changes when the value does.

    Args:
        value: numbers, texts, None, arrays, tensors, and lists, tuples, sets and
            dicts of these.
        arrays: takes the arrays, by name.
        where: the path of the value, from which the names are made.
        spare: arrays that an earlier call put aside, and that nobody reads any more:
            copies are made in their memory, which takes a third of the time that new
            memory takes.

    Raises:
        TypeError: naming the path of what cannot be written.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value  # type: ignore[return-value]
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, np.ndarray | np.generic):
        return _pack_array(value, arrays, where, spare)
    if isinstance(value, Mapping):
        pairs = [
            [
                pack(key, arrays, where, spare),
                pack(inner, arrays, f"{where}/{key}", spare),
            ]
            for key, inner in value.items()
        ]
        return {KIND: "dict", "pairs": pairs}  # type: ignore[dict-item]
    if isinstance(value, list | tuple | set | frozenset):
        name = next(kind for kind in _SEQUENCES if isinstance(value, _SEQUENCES[kind]))
        inside: list[Plain]
        if _PLAIN.issuperset(map(type, value)):
            # A history of thousands of epochs, or Python's generator, takes no time.
            inside = list(value)
        else:
            inside = [
                pack(one, arrays, f"{where}/{i}", spare) for i, one in enumerate(value)
            ]
        return inside if name == "list" else {KIND: name, "items": inside}
    raise TypeError(
        f"a checkpoint cannot hold {where} of type {type(value).__name__}; it holds "
        "numbers, texts, None, NumPy arrays, and lists, tuples, sets and dicts of "
        "these."
    )


_PLAIN = frozenset({bool, int, float, str, type(None)})

_SEQUENCES: Mapping[str, type[list] | type[tuple] | type[set] | type[frozenset]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}


def _pack_array(
    value: np.ndarray | np.generic,
    arrays: dict[str, np.ndarray],
    where: str,
    spare: Mapping[str, np.ndarray],
) -> Plain:
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"a checkpoint cannot hold {where}, an array of objects.")
    name = f"{len(arrays):05d}"
    found: dict[str, Plain] = {KIND: "array", "name": name, "of": where}
    if isinstance(value, np.generic):
        found[KIND] = "number"
    array = _copy(array, spare.get(name))
    if not is_known(array.dtype):
        # Such as bfloat16, or text: as bytes.
        own = array.dtype.name if array.dtype.kind == "V" else array.dtype.str
        found |= {"dtype": own, "shape": list(array.shape)}
        array = np.frombuffer(array.tobytes(), "uint8")
    arrays[name] = array
    return found


def _copy(array: np.ndarray, spare: np.ndarray | None) -> np.ndarray:
    """Return a copy in C order, in the memory of an array that is no longer needed."""
    if (
        spare is None
        or not spare.flags.writeable
        or (spare.shape, spare.dtype) != (array.shape, array.dtype)
    ):
        return np.array(array, order="C")
    np.copyto(spare, array)
    return spare


def unpack(value: Plain, arrays: Mapping[str, np.ndarray]) -> object:
    """Return what `pack` was given.

    Args:
        value: what it returned.
        arrays: what it put aside.

    Raises:
        KeyError, ValueError, TypeError: if it is not what `pack` returns.
    """
    if isinstance(value, list):
        return [unpack(one, arrays) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value[KIND]
    if kind in ("array", "number"):
        array = arrays[str(value["name"])]
        if "dtype" in value:
            shape = [int(str(length)) for length in _listed(value["shape"])]
            array = array.view(np.dtype(str(value["dtype"]))).reshape(shape)
        return array if kind == "array" else array[()]
    if kind == "dict":
        pairs = [unpack(pair, arrays) for pair in _listed(value["pairs"])]
        return dict(pairs)  # type: ignore[arg-type]
    items = [unpack(one, arrays) for one in _listed(value["items"])]
    return _SEQUENCES[str(kind)](items)


def _listed(value: Plain) -> list[Plain]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return value
