"""Files of NumPy arrays: NPY and NPZ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from coloss.data.readers.errors import DataError
from coloss.names import nearest


def read_arrays(
    path: Path, array: str | None, id: str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the features in an NPY or NPZ file, and its ids where it has them.

    Args:
        path: the file.
        array: name of the features in an NPZ file; None: its only matrix.
        id: name of the ids there.

    Raises:
        DataError: if the file holds no such thing.
    """
    loaded = load_array(path)
    if isinstance(loaded, np.ndarray):
        if array is not None:
            raise DataError(f"is one array; it has none named {array!r}", path)
        return _as_features(loaded, path), None
    name = array or _only_matrix(loaded, path)
    if name not in loaded:
        raise DataError(
            f"has no array {name!r}{nearest(name, loaded)} "
            f"(arrays: {', '.join(loaded)})",
            path,
        )
    found = None if id is None else loaded.get(id)
    return _as_features(loaded[name], path), found


def load_array(path: Path) -> Any:
    """Return an array, or arrays by name; nothing in the file is run."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise DataError("does not exist", path) from None
    except (ValueError, OSError, EOFError) as error:
        if "Object arrays" in str(error):
            raise DataError(
                "holds Python objects, which may run anything when read; save it as "
                "numbers",
                path,
            ) from None
        raise DataError("is no file of NumPy arrays", path) from None


def _only_matrix(arrays: dict[str, np.ndarray], path: Path) -> str:
    found = [n for n, a in arrays.items() if a.ndim > 1 and a.dtype.kind in "fiub"]
    if len(found) != 1:
        raise DataError(
            f"has {len(found)} arrays of features (arrays: {', '.join(arrays)}); say "
            "which: `array`",
            path,
        )
    return found[0]


def _as_features(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype.kind not in "fiub":
        raise DataError(f"has dtype {array.dtype}; expected numbers", path)
    if array.ndim < 2 or 0 in array.shape:
        raise DataError(
            f"has shape {array.shape}; expected (rows, features), none of them 0", path
        )
    with np.errstate(over="ignore"):
        return array.astype("float32")
