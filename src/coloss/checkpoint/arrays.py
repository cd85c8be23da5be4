"""Arrays in one file, in the layout of safetensors: no pickle, no code, no compression.

A number of 8 bytes tells how long the header is; the header is JSON and tells of each
array its type, its shape and where its bytes are; then come the bytes. Unlike a zip
archive, it is hashed only once, and may be written over a file of the same size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping

import numpy as np

LENGTH = 8
"""Bytes of the number that tells how long the header is; arrays begin at multiples."""

DTYPES: Mapping[str, np.dtype] = {
    "BOOL": np.dtype("?"),
    **{
        f"{kind}{8 * size}": np.dtype(f"<{kind.lower()}{size}")
        for kind in "UI"
        for size in (1, 2, 4, 8)
    },
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
"""By their names in the file."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def is_known(dtype: np.dtype) -> bool:
    """Return whether the file has a name for the type, in any order of bytes."""
    return dtype.newbyteorder("<") in _NAMES


def chunks(arrays: Mapping[str, np.ndarray]) -> Iterator[memoryview]:
    """Yield the file, piece by piece; arrays are not copied.

    Args:
        arrays: by name, in C order, of known types.
    """
    listed: dict[str, object] = {}
    begin = 0
    for name, array in arrays.items():
        end = begin + array.nbytes
        listed[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    header = json.dumps(listed).encode()
    header += b" " * (-len(header) % LENGTH)
    yield memoryview(len(header).to_bytes(LENGTH, "little") + header)
    for array in arrays.values():
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        yield little.reshape(-1).view("uint8").data


def read(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a file, each with memory of its own.

    Args:
        content: of the file.

    Raises:
        ValueError, KeyError, TypeError: if it is not in this layout.
    """
    length = int.from_bytes(content[:LENGTH], "little")
    start = LENGTH + length
    if start > len(content):
        raise ValueError("the header is longer than the file")
    found, place = {}, start
    for name, told in json.loads(content[LENGTH:start]).items():
        dtype, shape = DTYPES[told["dtype"]], tuple(map(int, told["shape"]))
        begin, end = told["data_offsets"]
        size = math.prod(shape) * dtype.itemsize
        if start + begin != place or end - begin != size or min((0, *shape)) < 0:
            raise ValueError(f"the bytes of array {name} are not where they should be")
        place += size
        if place > len(content):
            raise ValueError(f"the file ends before array {name} does")
        flat = np.frombuffer(content, dtype, math.prod(shape), start + begin)
        found[name] = flat.reshape(shape).astype(dtype.newbyteorder("="))
    if place != len(content):
        raise ValueError("the file is longer than its arrays")
    return found
