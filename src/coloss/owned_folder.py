"""A folder in which coloss knows its own files, and touches no others.

The file `.coloss.json` marks it and lists every file that coloss wrote there, with the
SHA-256 of what it wrote. A name is listed before its file is written. So a file is the
user's if it is not listed, or if it is listed and holds something else; and a folder
without the mark is the user's altogether. The mark is written in one way only, and
holds a SHA-256 of itself.

The same list tells what is damaged: `check` and `read` refuse a file that holds
something else.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coloss.checksum import DamagedFileError, digest_of, read_plain
from coloss.writing import PARTIAL, whole, write_bytes

MARK = ".coloss.json"
OLD = ".coloss-old"
"""A folder inside, for files that are about to be replaced; left alone."""
_ABOUT = (
    "coloss made this folder. These are the files that it wrote; it replaces and "
    "deletes no others."
)

Contents = list[str] | None
"""SHA-256 of what a file may hold, newest last; None: it grows, and may hold anything.

Between the listing and the move of a file its old content is there still: the last two
are listed.
"""


@dataclass(frozen=True)
class OwnedFolder:
    """Writes, lists and deletes coloss's own files in a folder.

    Attributes:
        path: the folder; it need not exist.
    """

    path: Path

    @property
    def marked(self) -> bool:
        """Whether coloss made the folder."""
        return self._listed() is not None

    @property
    def empty(self) -> bool:
        """Whether there is nothing, beside the mark and what is half written."""
        return not any(self._entries())

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give a place to write a file of this folder; see `coloss.writing.whole`.

        Args:
            name: of the file, with `/` where it is in a folder inside.

        Raises:
            FileExistsError: if a file is there that coloss did not write.
        """
        path = self._checked(name)
        if "/" in name and name not in (self._listed() or {}):
            # Its folder is made before the file is there.
            self._list(name, [])
        with whole(path) as partial:
            yield partial
            before = (self._listed() or {}).get(name) or []
            self._list(name, [*before[-1:], digest_of(partial)])

    def growing(self, name: str) -> Path:
        """List a file that is written to bit by bit, and return its path.

        Args:
            name: of the file, or a pattern with `*` for several.

        Raises:
            FileExistsError: if a file is there that coloss did not write.
        """
        if (self._listed() or {}).get(name, []) is not None:
            if "*" not in name:
                self._checked(name)
            self._list(name, None)
        return self.path / name

    def finished(self, name: str) -> None:
        """List what a file that grew holds: from now on it is compared.

        Args:
            name: of the file, listed by `growing`.
        """
        self._list(name, [digest_of(self.path / name)])

    def check(self) -> None:
        """Compare every file with what coloss wrote; files that still grow are not.

        Raises:
            DamagedFileError: naming the first file that holds something else, or the
                mark, if that is missing or damaged.
        """
        for name, contents in self._listed_or_damaged().items():
            path = self.path / name
            if contents is not None and os.path.lexists(path):
                self._compare(name, digest_of(path) if path.exists() else "", contents)

    def read(self, name: str) -> bytes | None:
        """Return what a file holds; None where there is none.

        Args:
            name: of the file.

        Raises:
            DamagedFileError: if it holds something else than coloss wrote.
        """
        path = self.path / name
        if not os.path.lexists(path):
            return None
        content, listed = read_plain(path), self._listed_or_damaged()
        contents = listed.get(name, [])
        if contents is not None:
            self._compare(name, hashlib.sha256(content).hexdigest(), contents)
        return content

    def _compare(self, name: str, found: str, contents: list[str]) -> None:
        if found not in contents:
            raise DamagedFileError(
                f"'{self.path / name}' is not as coloss wrote it (SHA-256): it is "
                "damaged, or somebody changed it"
            )

    def _listed_or_damaged(self) -> dict[str, Contents]:
        listed = self._listed()
        if listed is None:
            what = "is damaged" if os.path.lexists(self.path / MARK) else "is missing"
            raise DamagedFileError(
                f"'{self.path / MARK}' {what}: nobody can tell whether the files of "
                "this run are as coloss wrote them"
            )
        return listed

    def foreign(self, most: int = 4) -> list[str]:
        """Return names of what is in the folder and not coloss's own, sorted.

        Args:
            most: how many to look for at the most.

        Returns:
            Names, with ` (changed)` where coloss wrote the file and somebody else
            changed it. Empty for a folder that is empty or does not exist.
        """
        listed = self._listed()
        found = []
        if listed is None:
            entries = sorted(os.listdir(self.path)) if self.path.is_dir() else []
            return entries[:most]
        for name, path in self._entries():
            if path.is_dir() and not path.is_symlink():
                if not _is_known_folder(name, listed):
                    found.append(f"{name}/")
            elif not self._is_own(name, listed):
                changed = name in listed and not path.is_symlink()
                found.append(f"{name} (changed)" if changed else name)
            if len(found) == most:
                break
        return found

    def blocked(self, names: list[str]) -> list[str]:
        """Return which of these files exist and are not coloss's own."""
        listed = self._listed() or {}
        return [
            name
            for name in names
            if os.path.lexists(self.path / name) and not self._is_own(name, listed)
        ]

    def clear(self) -> None:
        """Delete coloss's own files; afterwards the folder exists, and is marked."""
        self.remove()
        self.path.mkdir(parents=True, exist_ok=True)
        self._write({})

    def remove(self) -> None:
        """Delete coloss's own files, and the folders inside that are empty then.

        Nothing else is touched; the mark stays, and nothing is written.
        """
        listed = self._listed() or {}
        folders = set()
        for name, path in list(self._entries()) if listed else []:
            if self._is_own(name, listed):
                path.unlink()
                folders |= {p for p in path.relative_to(self.path).parents if p.name}
        if self.marked:
            self._clear_partial()
        for folder in sorted(folders, key=lambda one: -len(one.parts)):
            place = self.path / folder
            if not any(place.iterdir()):
                place.rmdir()

    def _clear_partial(self) -> None:
        for root, folders, _ in os.walk(self.path):
            for name in folders:
                place = Path(root) / name
                if name.startswith(PARTIAL) and not place.is_symlink():
                    shutil.rmtree(place)

    def _entries(self) -> Iterator[tuple[str, Path]]:
        """Yield what is inside but the mark and what is half written; links as such."""
        for root, folders, files in os.walk(self.path):
            partial = {name for name in folders if name.startswith(PARTIAL)}
            links = {name for name in folders if (Path(root) / name).is_symlink()}
            old = {OLD} if Path(root) == self.path else set()
            folders[:] = sorted(set(folders) - ((partial | old) - links))
            for name in sorted([*folders, *files]):
                path = Path(root) / name
                inside = path.relative_to(self.path).as_posix()
                if inside != MARK:
                    yield inside, path

    def _is_own(self, name: str, listed: dict[str, Contents]) -> bool:
        path = self.path / name
        if not path.is_file() or self._through_link(name):
            return False
        if name in listed:
            contents = listed[name]
            return contents is None or digest_of(path) in contents
        patterns = [key for key, value in listed.items() if value is None]
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    def _through_link(self, name: str) -> bool:
        """Whether a name inside leads out of the folder."""
        path = self.path / name
        inside = [path, *path.parents][: len(Path(name).parts)]
        return any(place.is_symlink() for place in inside)

    def _checked(self, name: str) -> Path:
        path = self.path / name
        if self._through_link(name) or self.blocked([name]):
            said = "exists, and coloss did not write it as it is now; it is kept"
            raise FileExistsError(errno.EEXIST, said, str(path))
        return path

    def _list(self, name: str, contents: Contents) -> None:
        self._write({**(self._listed() or {}), name: contents})

    def _listed(self) -> dict[str, Contents] | None:
        """Return the list; None where the folder is not marked."""
        mark = self.path / MARK
        if mark.is_symlink() or not mark.is_file():
            return None
        try:
            content = read_plain(mark)
            files = json.loads(content)["files"]
            return files if _signed(files) == content else None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _write(self, files: dict[str, Contents]) -> None:
        # What cannot be read as a list is the user's, too.
        if os.path.lexists(self.path / MARK) and self._listed() is None:
            said = "is no list that coloss wrote; it is kept"
            raise FileExistsError(errno.EEXIST, said, str(self.path / MARK))
        write_bytes(self.path / MARK, _signed(files))


def _is_known_folder(name: str, listed: dict[str, Contents]) -> bool:
    """Whether coloss writes files below a folder inside."""
    for key in listed:
        fixed = key.partition("*")[0].rpartition("/")[0]
        if f"{fixed}/".startswith(f"{name}/"):
            return True
        if "*" in key and fixed and name.startswith(f"{fixed}/"):
            return True
    return False


def _signed(files: dict[str, Contents]) -> bytes:
    """Return a mark, in the one way it is written, with a SHA-256 of itself."""
    content = {"about": _ABOUT, "files": {n: _contents(c) for n, c in files.items()}}
    own = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return (json.dumps({**content, "sha256": own}, indent=1) + "\n").encode()


def _contents(given: object) -> Contents:
    if given is None:
        return None
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        return given
    raise TypeError("no contents of a file")
