"""Files that are read only if they are what was written: size, kind and SHA-256."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from coloss.writing import write_text

BESIDE = ".sha256"
"""What is added to the name of a file for that of its checksum, as `sha256sum` does."""
_WRITING = "is being written"
MOST = 256 * 2**20
"""Bytes of a file that is read at once and is no table and no network."""


class DamagedFileError(ValueError):
    """A file that is not as coloss wrote it; the message names it."""


def check_plain(path: Path) -> None:
    """Refuse what is no plain file: reading a pipe or a device may never end.

    Args:
        path: of something that exists.

    Raises:
        DamagedFileError: if it is something else.
        OSError: if it cannot be looked at.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise DamagedFileError(f"'{path}' is no file")


def read_plain(path: Path, most: int = MOST) -> bytes:
    """Return the bytes of a plain file.

    Args:
        path: of the file.
        most: bytes; of a longer file, none is read.

    Raises:
        DamagedFileError: if it is no file, or a longer one.
        OSError: if it cannot be read.
    """
    check_plain(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise DamagedFileError(f"'{path}' has more than {most} bytes")
    return content


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        DamagedFileError: if it is no plain file.
        OSError: if it cannot be read.
    """
    check_plain(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def beside(path: Path) -> Path:
    """Return where the checksum of a file that grows is kept."""
    return path.with_name(f"{path.name}{BESIDE}")


def begin_writing(path: Path) -> None:
    """Note that a file is about to change: a kill from now on is no damage."""
    write_text(beside(path), f"{_WRITING}  {path.name}\n")


def is_being_written(path: Path) -> bool:
    """Return whether a file is noted as about to change."""
    place = beside(path)
    said = f"{_WRITING}  {path.name}\n".encode()
    return place.is_file() and place.read_bytes() == said


def end_writing(path: Path) -> None:
    """Note the SHA-256 of a file that is complete, as `sha256sum` would."""
    write_text(beside(path), f"{digest_of(path)}  {path.name}\n")


def check_beside(path: Path) -> bool:
    """Compare a file with the checksum that is kept beside it.

    Args:
        path: of a file that exists.

    Returns:
        Whether it was compared: not where no checksum is kept, or a kill came while
        the file was written.

    Raises:
        DamagedFileError: if it is not as it was written.
    """
    place = beside(path)
    if not os.path.lexists(place):
        return False
    said = read_plain(place, 2**12).decode("utf-8", "replace")
    if is_being_written(path):
        return False
    if said != f"{digest_of(path)}  {path.name}\n":
        raise DamagedFileError(
            f"'{path}' is not as it was written (SHA-256, '{place.name}')"
        )
    return True
