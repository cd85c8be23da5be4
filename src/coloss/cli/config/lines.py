"""On which line of a TOML text each key and value stands.

The standard reader keeps no positions. This scanner reads texts that it has accepted
already, so it needs to know where strings, comments and brackets begin and end, and
nothing of what they mean.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Path = tuple[str | int, ...]

_KEY = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*(\.?)""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SPACE = re.compile(r"(?:[\s,]|#[^\n]*)*")
_SCALAR = re.compile(r"[^\s,\]}#]+(?: [0-9][^\s,\]}#]*)?")


def lines_of(text: str) -> dict[Path, int]:
    r"""Return the line, from 1, of every table, key and array element.

    Args:
        text: valid TOML.

    Examples:
        >>> lines_of('[data]\nid = "row"\n')[("data", "id")]
        2
    """
    found: dict[Path, int] = {}
    for path, line in _Scanner(text).scan():
        found.setdefault(path, line)
    return found


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Return the line of a path, or of the nearest thing around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.place = text.replace("\r\n", "\n"), 0
        self.counts: dict[Path, int] = {}

    def scan(self) -> Iterator[tuple[Path, int]]:
        table: Path = ()
        while self._skip():
            line = self._line()
            if self.text[self.place] == "[":
                table = self._header()
                # Tables that only stand in the headers of others, too.
                for length in range(1, len(table) + 1):
                    yield table[:length], line
            else:
                yield from self._pair(table)

    def _header(self) -> Path:
        brackets = 2 if self.text.startswith("[[", self.place) else 1
        self.place += brackets
        path = self._anchored(self._key())
        self.place = self.text.index("]", self.place) + brackets
        if brackets == 2:
            number = self.counts.get(path, 0)
            self.counts[path] = number + 1
            path = (*path, number)
        return path

    def _anchored(self, keys: Path) -> Path:
        """Return the path of a header: below arrays of tables, in the last one."""
        path: Path = ()
        for place, key in enumerate(keys):
            path = (*path, key)
            if path in self.counts and place < len(keys) - 1:
                path = (*path, self.counts[path] - 1)
        return path

    def _pair(self, table: Path) -> Iterator[tuple[Path, int]]:
        line, keys = self._line(), self._key()
        for length in range(1, len(keys) + 1):
            yield (*table, *keys[:length]), line
        self.place = self.text.index("=", self.place) + 1
        yield from self._value((*table, *keys))

    def _value(self, path: Path) -> Iterator[tuple[Path, int]]:
        self._skip()
        if string := _STRING.match(self.text, self.place):
            self.place = string.end()
            return
        if self.text[self.place] == "[":
            yield from self._array(path)
        elif self.text[self.place] == "{":
            self.place += 1
            while self._skip() and self.text[self.place] != "}":
                yield from self._pair(path)
            self.place += 1
        else:
            scalar = _SCALAR.match(self.text, self.place)
            self.place = scalar.end() if scalar else self.place + 1

    def _array(self, path: Path) -> Iterator[tuple[Path, int]]:
        self.place += 1
        number = 0
        while self._skip() and self.text[self.place] != "]":
            yield (*path, number), self._line()
            yield from self._value((*path, number))
            number += 1
        self.place += 1

    def _key(self) -> Path:
        keys = []
        while found := _KEY.match(self.text, self.place):
            self.place = found.end()
            quoted = found[1][0] in "\"'"
            # A quoted key means what the same string means as a value.
            keys.append(
                tomllib.loads(f"key = {found[1]}")["key"] if quoted else found[1]
            )
            if not found[2]:
                break
        return tuple(keys)

    def _skip(self) -> bool:
        found = _SPACE.match(self.text, self.place)
        self.place = found.end() if found else self.place
        return self.place < len(self.text)

    def _line(self) -> int:
        return self.text.count("\n", 0, self.place) + 1
