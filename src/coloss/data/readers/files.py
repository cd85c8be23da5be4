"""Opening files that others wrote: nothing in them is trusted."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from coloss.data.readers.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_BINARY = {
    b"PAR1": "a Parquet file; call it .parquet",
    b"ARROW1": "an Arrow file; call it .arrow",
    b"FEA1": "a Feather file; call it .feather",
    b"\x93NUMPY": "an array of NumPy; call it .npy",
    b"PK\x03\x04": "a ZIP file, such as an Excel sheet or an NPZ file; save it as CSV, "
    "or call it .npz",
    b"\x1f\x8b": "compressed; unpack it first",
}
"""What a file is by its first bytes, where its suffix says text."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a library raises over a file into one `DataError`.

    A damaged file can make a reader fail in any way (a wrong tag, a length of 2**60,
    bytes that are no text), so every kind of error is meant here.

    Args:
        path: the file, for the message.
    """
    try:
        kind = path.stat().st_mode
        # Of a pipe or a device, reading may never end.
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise DataError("is no file", path)
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError("does not exist", path) from None
    except MemoryError:
        raise DataError(
            "does not fit into the memory, or is damaged and says that it is larger "
            "than it is",
            path,
        ) from None
    except RecursionError:
        raise DataError("is nested too deeply", path) from None
    except Exception as error:
        raise DataError(f"cannot be read: {_first_line(error)}", path) from None


FREE = 256 * 2**20
"""Bytes of memory that any file may take."""


def check_memory(path: Path, needed: int, growth: int) -> None:
    """Refuse a file that says it takes far more memory than it has bytes.

    Args:
        path: the file.
        needed: bytes of memory, as its head says.
        growth: how many times its size is believed.

    Raises:
        DataError: if it is more than that, and than `FREE`.
    """
    size = path.stat().st_size
    if needed > max(FREE, growth * size):
        raise DataError(
            f"has {size} bytes and says that it takes {needed} in memory: it is "
            "damaged, or made to fill it",
            path,
        )


def opened(path: Path) -> pa.NativeFile:
    """Return a file for pyarrow to read.

    Never hand it a Python file: its own threads would call back into Python, and the
    process ends (`terminate called`) where that meets an error or the end.
    """
    import pyarrow as pa

    return pa.OSFile(str(path), "rb")


def first_lines(path: Path, number: int) -> list[str]:
    """Return the first lines of a text file, without their ends.

    Raises:
        DataError: if it does not exist, or is no text in UTF-8.
    """
    lines: list[str] = []
    with reading(path):
        with path.open("rb") as binary:
            start = binary.read(8)
        for mark, kind in _BINARY.items():
            if start.startswith(mark):
                raise DataError(f"is {kind}", path)
        try:
            with path.open(encoding="utf-8-sig") as file:
                for line in file:
                    lines.append(line.rstrip("\r\n"))
                    if len(lines) == number:
                        break
        except UnicodeDecodeError:
            raise DataError("is no UTF-8 text; convert it first", path) from None
    return lines


def is_arff(path: Path) -> bool:
    """Return whether a text file is ARFF, whatever its name."""
    for line in first_lines(path, 50):
        text = line.strip().lower()
        if text and not text.startswith("%"):
            return text.startswith(("@relation", "@attribute"))
    return False


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
