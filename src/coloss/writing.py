"""Files are written whole or not at all.

Every file that coloss writes goes through here. The new one is written beside the old
one, to the disk, and takes its place in one move: a full disk, an error or a kill in
between leaves the old one as it was.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

PARTIAL = ".coloss-partial-"
"""How the name of a folder begins in which something is half written."""


@contextmanager
def whole(path: str | PathLike[str], *, replace_folder: bool = False) -> Iterator[Path]:
    """Give a place to write to; what is there moves to `path` when the block ends.

    Some formats keep weights in a file beside the one that was asked for: whatever else
    the block leaves in that place moves along, the named one last.

    Args:
        path: where it ends up; its folder is made. A symbolic link stays: what it
            points to is replaced.
        replace_folder: whether a folder may take the place of a folder. The caller has
            made sure that the old one holds nothing that anybody needs.

    Yields:
        A path of the same name in a folder of its own, on the same disk.

    Raises:
        PermissionError: if the file that is there must not be written to.
        IsADirectoryError: if a folder is there, and may not be replaced.
    """
    target = Path(os.path.realpath(path))
    _check(target, replace_folder=replace_folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=target.parent))
    try:
        made = work / target.name
        yield made
        _check(target, replace_folder=replace_folder and made.is_dir())
        _to_disk(work)
        beside = sorted(one for one in work.iterdir() if one != made)
        for one in [*beside, made]:
            _move(one, target.with_name(one.name), work)
        _to_disk_folder(target.parent)
    except OSError as error:
        # As of a full disk: say what was being written, not where it was on the way.
        if str(error.filename or work).startswith(str(work)):
            error.filename = str(target)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole; see `whole`."""
    with whole(path) as partial:
        partial.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write text in UTF-8, whole; see `whole`."""
    write_bytes(path, text.encode("utf-8"))


def _check(target: Path, *, replace_folder: bool) -> None:
    if target.is_dir() and not replace_folder:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    # A move would replace a file that is protected against writing.
    if target.is_file() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


def _move(one: Path, target: Path, work: Path) -> None:
    if not one.is_dir():
        if target.is_file():
            shutil.copymode(target, one)
        os.replace(one, target)
        return
    # No folder can be replaced in one move: the old one steps aside, and goes when the
    # new one is there.
    aside = work / f".replaced-{one.name}"
    if target.exists():
        os.replace(target, aside)
    try:
        os.replace(one, target)
    except BaseException:
        if aside.exists():
            os.replace(aside, target)
        raise


def _to_disk(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        for name in files:
            opened = os.open(Path(root) / name, os.O_RDWR)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)
        _to_disk_folder(Path(root))


def _to_disk_folder(folder: Path) -> None:
    """Make moves in a folder last, where the system can open one."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
