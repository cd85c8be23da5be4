"""Looks at the weights in a `.keras` file, in a process of its own.

The library that reads HDF5 is written in C: over a damaged file it may end the process
that uses it. `coloss.joint.saving.foreign` runs this file first, with limits of memory
and time; it imports nothing of coloss.
"""

from __future__ import annotations

import io
import json
import math
import sys
import zipfile

import h5py

FREE, GROWTH = 64 * 2**20, 100
"""What one array may unpack to: bytes, or times what is stored, whichever is more."""
MOST_OBJECTS = 1_000_000


def limit(size: int) -> None:
    """Bound memory and processor time of this process, where the system can.

    Args:
        size: of the file, in bytes.
    """
    try:
        import resource
    except ImportError:
        return
    memory = 2 * 2**30 + 4 * size
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    seconds = 20 + size // 2**25
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def look(content: bytes) -> int:
    """Read every array of an HDF5 file once.

    Args:
        content: of the file.

    Returns:
        The bytes of all arrays.

    Raises:
        ValueError: if it holds a link, or an array that is not in the file itself, or
            is larger than what is stored of it.
    """
    total = 0
    with h5py.File(io.BytesIO(content), "r") as file:
        waiting, seen = [file["/"]], 0
        known = set()
        while waiting:
            group = waiting.pop()
            for name in group:
                seen += 1
                if seen > MOST_OBJECTS:
                    raise ValueError("has too many parts")
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    kind = type(link).__name__
                    raise ValueError(f"holds a link to elsewhere ({kind} {name!r})")
                found = group[name]
                key = h5py.h5o.get_info(found.id).addr
                if key in known:
                    continue
                known.add(key)
                if isinstance(found, h5py.Group):
                    waiting.append(found)
                elif isinstance(found, h5py.Dataset):
                    total += _array(found, name, len(content), total)
                else:
                    raise ValueError(f"holds {name!r}, which is no array")
    return total


def _array(found: h5py.Dataset, name: str, size: int, before: int) -> int:
    if found.external:
        raise ValueError(f"reads the array {name!r} from another file")
    if found.is_virtual:
        raise ValueError(f"puts the array {name!r} together from other files")
    if found.dtype.kind not in "fiubcSV":
        raise ValueError(f"has an array of {found.dtype} ({name!r})")
    declared = math.prod(found.shape or (0,)) * found.dtype.itemsize
    stored = found.id.get_storage_size()
    if declared > max(FREE, GROWTH * stored) or before + declared > max(
        FREE, GROWTH * size
    ):
        raise ValueError(
            f"has an array of shape {found.shape} in {stored} bytes ({name!r})"
        )
    found[()]
    return declared


def main(path: str) -> None:
    """Print the bytes of all arrays, or what is wrong, as JSON."""
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("model.weights.h5").file_size
        limit(size)
        try:
            found: int | str = look(archive.read("model.weights.h5"))
            kind = "bytes"
        except Exception as error:
            found = (str(error).splitlines() or [type(error).__name__])[0]
            kind = "error"
    print(json.dumps({kind: found}))


if __name__ == "__main__":
    main(sys.argv[1])
