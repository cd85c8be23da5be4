"""Rows of nested arrays: counting, taking, joining, and rows that are missing.

A structure is an array, or a dict, list or tuple of structures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np

from coloss.names import counted
from coloss.typing import Nested, Tensor

Structure: TypeAlias = Nested

Tree = TypeVar("Tree", bound=Structure)


def leaves(tree: Structure, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield each array of a structure with its place, such as `a.ids`."""
    if isinstance(tree, Mapping):
        children = list(tree.items())
    elif isinstance(tree, list | tuple):
        children = list(enumerate(tree))
    else:
        yield name, tree
        return
    for key, child in children:
        yield from leaves(child, f"{name}.{key}" if name else str(key))


def mapped(function: Callable[..., Tensor], first: Structure, *others: Any) -> Any:
    """Return a structure with `function` of the arrays at each place."""
    if isinstance(first, Mapping):
        return {
            key: mapped(function, child, *(other[key] for other in others))
            for key, child in first.items()
        }
    if isinstance(first, list | tuple):
        return type(first)(
            mapped(function, *children) for children in zip(first, *others, strict=True)
        )
    return function(first, *others)


def count(tree: Structure, what: str) -> int:
    """Return the number of rows of a structure.

    Args:
        tree: a structure.
        what: what it is, for messages.

    Raises:
        TypeError: if something in it is no array.
        ValueError: if it is empty, or its arrays have different numbers of rows.
    """
    rows = None
    for name, array in leaves(tree):
        place = f"{what} of {name!r}" if name else what
        shape = np.shape(array)
        if not shape:
            raise TypeError(f"{place} must be an array (rows, ...); found {array!r}.")
        rows = shape[0] if rows is None else rows
        if shape[0] != rows:
            raise ValueError(
                f"{place} has {counted(shape[0], 'row')}; expected {rows}."
            )
    if not rows:
        raise ValueError(f"{what} has no rows.")
    return rows


def as_arrays(tree: Tree) -> Tree:
    """Return a structure of NumPy arrays."""
    return mapped(_as_array, tree)


def _as_array(leaf: Tensor) -> np.ndarray:
    # Tensors of torch that carry a gradient, or live elsewhere, refuse NumPy.
    if hasattr(leaf, "detach"):
        leaf = leaf.detach().cpu()
    return leaf.numpy() if hasattr(leaf, "numpy") else np.asarray(leaf)


def take(tree: Tree, rows: np.ndarray | slice) -> Tree:
    """Return the rows (indices or a slice) of a structure."""
    return mapped(lambda array: array[rows], tree)


def joined(first: Tree, second: Tree) -> Tree:
    """Return the rows of one structure above those of another of the same form."""
    return mapped(lambda *arrays: np.concatenate(arrays), first, second)


def missing(tree: Tree, rows: int, name: str) -> Tree:
    """Return rows of NaN in the form of a member's input: a missing modality.

    Args:
        tree: an input of the same form.
        rows: how many.
        name: the member, for the message.

    Raises:
        ValueError: if the input has no array that can hold a NaN.
    """
    if all(array.dtype.kind != "f" for _, array in leaves(tree)):
        kinds = ", ".join(str(array.dtype) for _, array in leaves(tree))
        raise ValueError(
            f"rows without an input of {name!r} cannot be marked: they would be rows "
            f"of NaN, and its dtype is {kinds}. Give it as float32."
        )
    # Beside a float input that says "missing", integers may be anything.
    return mapped(lambda array: _filled(array, rows, 0), tree)


def unlabeled(tree: Tree, rows: int) -> Tree:
    """Return labels that say "unlabeled": -1 for integers, NaN for floats."""
    return mapped(lambda array: _filled(array, rows, -1), tree)


def signed(tree: Tree) -> Tree:
    """Return labels in dtypes that can hold -1 or NaN."""
    return mapped(
        lambda array: array.astype("int32") if array.dtype.kind in "bu" else array,
        tree,
    )


def _filled(array: np.ndarray, rows: int, integer: int) -> np.ndarray:
    filler = np.nan if array.dtype.kind == "f" else integer
    return np.full((rows, *array.shape[1:]), filler, array.dtype)
