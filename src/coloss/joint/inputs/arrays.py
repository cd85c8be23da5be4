"""What people hand over as arrays, made into arrays: lists, frames, columns.

NumPy arrays and tensors stay what they are. Anything else that holds rows (lists of
lists, pandas and polars frames and series, columns of a table, HDF5 datasets) becomes
a NumPy array here, once, so that every check and Keras see the same thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

import keras
import numpy as np

from coloss.joint.inputs.assembly import Assembly
from coloss.typing import ByMember, Nested, Tensor

TEXT = ("O", "U", "S")
"""Kinds of NumPy dtypes that hold text or Python objects."""

_TENSORS = ("jax", "jaxlib", "torch", "tensorflow", "scipy")


def is_array_data(x: object) -> TypeGuard[Mapping[str, object]]:
    """Return whether `x` is a dict of arrays, as opposed to a dataset."""
    return isinstance(x, Mapping)


def refuse_bare_array(x: object, names: Sequence[str]) -> None:
    """Refuse one array, frame or list in the place of a dict by member.

    Args:
        x: as given to `fit`: a dict of arrays or a dataset of any kind passes.
        names: the members.

    Raises:
        TypeError: saying what was found and how to write it.
    """
    bare = x is None or isinstance(x, list | tuple | str | bytes | int | float)
    if hasattr(x, "shape") and (hasattr(x, "dtype") or hasattr(x, "__array__")):
        bare = True
    if bare:
        raise _not_by_member(x, names, " or a dataset of such dicts")


def check_by_key(x: object, assembly: Assembly, complete: bool = True) -> None:
    """Refuse inputs of a step that are no dict by member.

    Args:
        x: inputs of one batch.
        assembly: which entries of `x` the members read.
        complete: whether every one must be there.

    Raises:
        TypeError: if `x` is no dict.
        ValueError: naming the wrong or the missing name.
    """
    if not isinstance(x, Mapping):
        raise _not_by_member(x, assembly.keys)
    assembly.check_keys(x, complete=complete)


def _not_by_member(x: object, names: Sequence[str], otherwise: str = "") -> TypeError:
    keys = ", ".join(f'"{name}": ...' for name in names)
    return TypeError(
        f"`x` must be a dict of inputs by member ({{{keys}}}){otherwise}; "
        f"found {_described(x)}."
    )


def _described(value: object) -> str:
    # A tensor has another type inside of a compiled step.
    kind = "a tensor" if keras.ops.is_tensor(value) else type(value).__name__
    if isinstance(value, list | tuple):
        return f"a {kind} of {len(value)}"
    shape = getattr(value, "shape", None)
    return kind if shape is None else f"{kind} of shape {tuple(shape)}"


def as_inputs(
    members: Mapping[str, keras.Model], x: Mapping[str, object], where: str = ""
) -> dict[str, Nested]:
    """Return inputs by member with an array at every place.

    Args:
        members: the networks: they say whether a list is several inputs or rows.
        x: by member: whatever holds rows, or a dict or list of these for a member
            with several inputs.
        where: prefix of messages.

    Raises:
        ValueError: if rows of a list have different lengths.
    """
    return {
        name: _input(members.get(name), value, f"{where}input of {name!r}")
        for name, value in x.items()
    }


def as_labels(y: ByMember, names: Sequence[str], rows: int, what: str) -> ByMember:
    """Return labels or weights as arrays: None, one array, or a dict by member.

    Args:
        y: whatever holds rows, or a dict of such by member.
        names: the members.
        rows: of the inputs.
        what: what they are, such as "`y`".

    Raises:
        TypeError: for a list of one array a member, which has no names.
        ValueError: if rows of a list have different lengths.
    """
    if y is None:
        return None
    if isinstance(y, Mapping):
        return {
            name: as_array(value, f"{what} of {name!r}") for name, value in y.items()
        }
    listed = isinstance(y, list | tuple) and len(y) == len(names) != rows
    if listed and all(hasattr(part, "__len__") and len(part) == rows for part in y):
        keys = ", ".join(f'"{name}": ...' for name in names)
        raise TypeError(
            f"{what} is a {type(y).__name__} of {len(y)} arrays; expected one array "
            f"for all members, or a dict by member: {{{keys}}}."
        )
    return as_array(y, what)


def as_array(value: Tensor, what: str) -> Tensor:
    """Return something that holds rows as an array; anything else as it is.

    Args:
        value: an array or tensor of any library (returned as it is), a list or tuple
            of rows, a frame, a series, or a column with `len` and items.
        what: what it is, for messages.

    Raises:
        ValueError: if its rows have different lengths.
    """
    if isinstance(value, np.ndarray) or is_tensor(value):
        return value
    if hasattr(value, "__array__"):
        return _of_frame(value)
    if isinstance(value, str | bytes | Mapping):
        return value
    if not (hasattr(value, "__len__") and hasattr(value, "__getitem__")):
        return value
    try:
        return np.asarray([to_numpy(row) for row in value])
    except ValueError:
        lengths = sorted({len(row) if hasattr(row, "__len__") else 1 for row in value})
        raise ValueError(
            f"{what} is a {type(value).__name__} whose rows have different shapes "
            f"(lengths {', '.join(map(str, lengths[:5]))}); expected one shape. Pad "
            "them, for instance with keras.utils.pad_sequences."
        ) from None


def is_tensor(value: object) -> bool:
    """Return whether this is a tensor of a backend, or a sparse matrix."""
    return type(value).__module__.partition(".")[0] in _TENSORS


def to_numpy(value: object) -> np.ndarray:
    """Return an array or a tensor of any backend as a NumPy array."""
    if keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value)
    # Tensors of torch that carry a gradient, or live elsewhere, refuse NumPy.
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def _of_frame(value: object) -> np.ndarray:
    found = np.asarray(value)
    if found.dtype != object or not hasattr(value, "to_numpy"):
        return found
    # pandas gives objects for columns of different types (bool beside float), and for
    # its nullable ones; numbers they are all the same. Text stays what it is.
    dtypes = getattr(value, "dtypes", None)
    columns: list[object] = [dtypes]
    if isinstance(dtypes, Iterable):
        columns = list(dtypes)
    # Of a categorical column the categories may be numbers.
    columns = [getattr(dtype, "categories", dtype) for dtype in columns]
    columns = [getattr(dtype, "dtype", dtype) for dtype in columns]
    if all(getattr(dtype, "kind", "O") in "biuf" for dtype in columns):
        return value.to_numpy(dtype="float64", na_value=np.nan)
    return found


def _input(member: keras.Model | None, value: object, what: str) -> Nested:
    if isinstance(value, Mapping):
        return {
            key: _input(None, part, f"{what}, {key!r}") for key, part in value.items()
        }
    if isinstance(value, list | tuple) and _lists_inputs(member, value):
        return type(value)(_text_as_tensor(as_array(part, what)) for part in value)
    return _text_as_tensor(as_array(value, what))


def is_text(values: np.ndarray) -> bool:
    """Return whether an array holds text, and no other Python objects."""
    if values.dtype.kind in "US":
        return True
    return values.dtype == object and all(
        isinstance(value, str | bytes) for value in values.flat
    )


def _text_as_tensor(value: Tensor) -> Tensor:
    # Keras takes text as tensors of TensorFlow only; other backends have none.
    tensorflow = keras.backend.backend() == "tensorflow"
    if tensorflow and isinstance(value, np.ndarray) and is_text(value):
        return keras.ops.convert_to_tensor(value)
    return value


def _lists_inputs(member: keras.Model | None, value: Sequence[Tensor]) -> bool:
    """Return whether a list holds the inputs of a network, not the rows of one."""
    expected = getattr(member, "inputs", None) if member and member.built else None
    arrays = all(hasattr(part, "shape") for part in value)
    if expected and len(expected) > 1:
        return len(value) == len(expected)
    if expected:
        return (
            arrays and len(value) == 1 and len(value[0].shape) == len(expected[0].shape)
        )
    return arrays and all(len(part.shape) > 1 for part in value)


def as_symbols(
    members: Mapping[str, keras.Model], x: Mapping[str, Nested]
) -> dict[str, Nested]:
    """Return inputs as shapes and dtypes, for a batch of any size.

    Args:
        members: networks by name. One with a state is made for batches of one size.
        x: arrays by member.
    """
    inputs = [i for m in members.values() for i in getattr(m, "inputs", None) or ()]
    batch = next((i.shape[0] for i in inputs if i.shape[0] is not None), None)

    def symbol(leaf: Tensor) -> keras.KerasTensor:
        if getattr(leaf.dtype, "kind", "") in TEXT:
            dtype = "string"
        else:
            dtype = keras.backend.standardize_dtype(leaf.dtype)
        return keras.KerasTensor((batch, *leaf.shape[1:]), dtype)

    return keras.tree.map_structure(symbol, dict(x))
