"""`.keras` files as ZIP archives: a seal over all bytes, and what a damaged one shows.

Keras's archives have a checksum for the content of each entry, and none for what stands
around it. The files that coloss writes end in a comment with the SHA-256 of everything
before: a file in which one bit is another one is found. Files that Keras wrote alone
have no seal; of those, every entry and both of its headers are compared.

Nothing is imported from Keras here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zipfile
from collections import Counter
from pathlib import Path
from typing import IO

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
ASSETS = "assets/"

_SEAL = b"coloss: SHA-256 of all before the comment's length: "
_COMMENT = len(_SEAL) + 64
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = 46

MOST_ENTRIES = 10_000
"""Entries of an archive: a network has 3, and one for each asset."""
MOST_TEXT = 64 * 2**20
"""Bytes of `config.json`; that of a hundred layers has 0.1 MB."""
FREE, GROWTH = 64 * 2**20, 100
"""What an archive may unpack to: bytes, or times its size, whichever is more."""


class ForeignFileError(ValueError):
    """A `.keras` file that is damaged, or asks for more than a network."""


def seal(path: str | os.PathLike[str]) -> None:
    """Write the SHA-256 of an archive into its comment.

    Args:
        path: of a ZIP archive without a comment, as Keras writes it; anything else
            stays as it is.
    """
    with Path(path).open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size < _END.size:
            return
        file.seek(size - _END.size)
        if _END.unpack(file.read())[0::7] != (b"PK\x05\x06", 0):
            return
        found = _digest(file, size - 2)
        file.seek(size - 2)
        file.write(struct.pack("<H", _COMMENT) + _SEAL + found)


def is_sealed(path: str | os.PathLike[str]) -> bool:
    """Return whether a file ends as a sealed one does; nothing is compared."""
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _COMMENT))
        return file.read(len(_SEAL)) == _SEAL


def _digest(file: IO[bytes], size: int) -> bytes:
    """Return the SHA-256 of a file's first bytes, in hexadecimal."""
    found = hashlib.sha256()
    file.seek(0)
    while size > 0:
        piece = file.read(min(size, 2**20))
        if not piece:
            break
        found.update(piece)
        size -= len(piece)
    return found.hexdigest().encode()


def check(path: Path) -> None:
    """Refuse an archive that is damaged, or that unpacks to more than it may.

    Args:
        path: of a `.keras` file.

    Raises:
        ForeignFileError: saying what is wrong, without the file's name.
        OSError: if it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ForeignFileError("is no file")
    with path.open("rb") as file:
        size = _check_end(file)
        try:
            with zipfile.ZipFile(file) as archive:
                _check_entries(archive, size)
                _check_headers(archive, file, size)
                _check_contents(archive)
        except ForeignFileError:
            raise
        except Exception as error:  # A damaged archive fails in any way.
            raise _damaged(str(error).splitlines()[0] if str(error) else "") from None


def _damaged(why: str) -> ForeignFileError:
    return ForeignFileError(f"is damaged{f': {why}' if why else ''}")


def _check_end(file: IO[bytes]) -> int:
    """Check the seal, if there is one; return where the archive proper ends."""
    size = file.seek(0, os.SEEK_END)
    for comment in (b"", _SEAL):
        length = _COMMENT if comment else 0
        start = size - length - _END.size
        if start < 0:
            continue
        file.seek(start)
        end = _END.unpack(file.read(_END.size))
        if end[0] != b"PK\x05\x06" or end[-1] != length:
            continue
        tail = file.read()
        if tail[: len(_SEAL)] != comment:
            continue
        if comment and tail[len(_SEAL) :] != _digest(file, size - length - 2):
            raise _damaged("its SHA-256 is not the one that it was written with")
        return start
    raise ForeignFileError(
        "is no `.keras` file as Keras or coloss write it, or damaged"
    )


def _check_entries(archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise ForeignFileError(f"has {len(entries)} entries; a network has a few")
    names = Counter(entry.filename for entry in entries)
    twice = [name for name, number in names.items() if number > 1]
    if twice:
        raise ForeignFileError(f"has the entry {twice[0]!r} twice")
    for name in names:
        parts = name.split("/")
        inside = name.startswith(ASSETS) and not {"", ".", ".."} & set(parts[:-1])
        odd = "\\" in name or ":" in name or parts[-1] in (".", "..")
        if name not in (CONFIG, METADATA, WEIGHTS) and (odd or not inside):
            raise ForeignFileError(f"has an entry that no network needs: {name!r}")
    for name in (CONFIG, WEIGHTS):
        if name not in names:
            raise ForeignFileError(f"is no network: it has no {name!r}")
    if archive.getinfo(CONFIG).file_size > MOST_TEXT:
        raise ForeignFileError(f"has a {CONFIG} of more than {MOST_TEXT} bytes")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max(FREE, GROWTH * size):
        raise ForeignFileError(f"would unpack {size} bytes to {unpacked}")


def _check_headers(archive: zipfile.ZipFile, file: IO[bytes], size: int) -> None:
    """Compare what stands twice in an archive, and see that nothing else is in it."""
    place, central = 0, 0
    for entry in archive.infolist():
        file.seek(entry.header_offset)
        local = _LOCAL.unpack(file.read(_LOCAL.size))
        name = entry.orig_filename.encode(
            "utf-8" if entry.flag_bits & 0x800 else "cp437"
        )
        central += _CENTRAL + len(name) + len(entry.extra) + len(entry.comment)
        if file.read(local[9]) != name or local[0] != b"PK\x03\x04":
            raise _damaged(f"two names of the entry {entry.filename!r}")
        later = bool(entry.flag_bits & 8)  # Sizes stand behind the content.
        if local[1:4] != (entry.extract_version, entry.flag_bits, entry.compress_type):
            raise _damaged(f"two headers of the entry {entry.filename!r}")
        if later or entry.file_size >= 2**32 - 1:
            place = -1
            continue
        sizes = (entry.CRC, entry.compress_size, entry.file_size)
        if local[6:9] != sizes or local[4:6] != _time(entry):
            raise _damaged(f"two headers of the entry {entry.filename!r}")
        if (entry.create_version, entry.internal_attr) != (entry.extract_version, 0):
            raise _damaged(f"the header of the entry {entry.filename!r}")
        if place >= 0 and entry.header_offset != place:
            raise _damaged(f"a gap before the entry {entry.filename!r}")
        if place >= 0:
            place += _LOCAL.size + len(name) + local[10] + entry.compress_size
    if place >= 0 and place + central != size:
        raise _damaged("a gap between its entries and its end")


def _time(entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return when an entry was written, as a header says it."""
    year, month, day, hour, minute, second = entry.date_time
    clock = hour << 11 | minute << 5 | second // 2
    return clock, (year - 1980) << 9 | month << 5 | day


def _check_contents(archive: zipfile.ZipFile) -> None:
    """Read every entry; ZIP compares its CRC-32."""
    for entry in archive.infolist():
        with archive.open(entry) as content:
            while content.read(2**20):
                pass
