"""Files of NumPy arrays: NPY and NPZ."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from coloss.data.readers.errors import DataError
from coloss.data.readers.files import check_memory, reading
from coloss.names import counted, unknown

_GROWTH = 200
"""How many times smaller an archive may be than its arrays."""
_NPY = b"\x93NUMPY"
"""How a file of one array begins."""


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
        raise DataError(f"has {unknown('array', name, loaded)}", path)
    found = None if id is None else loaded.get(id)
    return _as_features(loaded[name], path), found


def load_array(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """Return an array, or arrays by name; nothing in the file is run.

    Raises:
        DataError: if the file is damaged, is none of this kind, or holds objects.
    """
    with reading(path), path.open("rb") as file:
        if file.read(6) == _NPY:
            file.seek(0)
            return _array(file, path.stat().st_size, path)
        if not zipfile.is_zipfile(file):
            raise DataError("is no file of NumPy arrays, or a damaged one", path)
        arrays = {}
        with zipfile.ZipFile(file) as archive:
            needed = sum(entry.file_size for entry in archive.infolist())
            check_memory(path, needed, _GROWTH)
            for entry in archive.infolist():
                with archive.open(entry) as member:
                    name = entry.filename.removesuffix(".npy")
                    arrays[name] = _array(member, entry.file_size, path)
    if not arrays:
        raise DataError("holds no array", path)
    return arrays


def _array(file: IO[bytes], size: int, path: Path) -> np.ndarray:
    """Return the array in a file of `size` bytes.

    What the head of a damaged file says may be anything: memory is taken only for as
    many values as there are bytes.
    """
    version = np.lib.format.read_magic(file)
    read = {1: np.lib.format.read_array_header_1_0}.get(
        version[0], np.lib.format.read_array_header_2_0
    )
    shape, columns_first, dtype = read(file)
    if dtype.hasobject:
        raise DataError(
            "holds Python objects, which may run anything when read; save it as "
            "numbers",
            path,
        )
    count = math.prod(shape)
    if count * dtype.itemsize != size - file.tell():
        raise DataError(
            f"is damaged: it says that it holds {counted(count, 'value')} of "
            f"{dtype}, which is not its size",
            path,
        )
    flat = np.frombuffer(file.read(), dtype, count)
    return flat.reshape(shape, order="F" if columns_first else "C").copy()


def _only_matrix(arrays: dict[str, np.ndarray], path: Path) -> str:
    found = [n for n, a in arrays.items() if a.ndim > 1 and a.dtype.kind in "fiub"]
    if len(found) != 1:
        raise DataError(
            f"has {counted(len(found), 'array')} of features (arrays: "
            f"{', '.join(arrays)}); say which: `array`",
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
