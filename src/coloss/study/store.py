"""Finished runs on disk, so that an interrupted study goes on where it was."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coloss.checksum import (
    DamagedFileError,
    begin_writing,
    check_beside,
    check_plain,
    end_writing,
    is_being_written,
)
from coloss.study.arms import Run
from coloss.study.settings import Record

_TABLES = {
    "study": "CREATE TABLE study "
    "(name TEXT PRIMARY KEY, value TEXT NOT NULL, sha256 TEXT NOT NULL)",
    "runs": "CREATE TABLE runs "
    "(key TEXT PRIMARY KEY, record TEXT NOT NULL, sha256 TEXT NOT NULL)",
}
"""Each row holds the SHA-256 of itself."""
_PRINT = "fingerprint of "
_ACCEPTED = "accepted changes"
_MEND = (
    "Give another `path`, or delete the file; or accept the difference: "
    "`accept_changes=True`, --accept-changes."
)
_CLOSE = 1e-5
_PAUSE = 2.0
"""Seconds between two checksums of the whole file, while runs come in."""


class Store:
    """A SQLite file with one row a finished run.

    A run is in it whole or not at all, whenever the process is killed. Each row holds
    a SHA-256 of itself, and the file `PATH.sha256` that of all bytes: what is damaged
    is refused, and no run of it is used.

    Args:
        path: the file; made if it does not exist. None: in memory only.
        description: what the runs have in common, by name. A file of another study
            is refused.
        fingerprints: of data and networks, by a name for each; what both studies have
            must agree. See `coloss.study.fingerprint`.
        accept_changes: whether a difference of either is told in a warning and kept in
            the file, instead of refused.

    Raises:
        DamagedFileError: if the file is damaged, or none of a study.
        ValueError: if the file holds runs of a study with another description, or on
            other data or networks.
    """

    def __init__(
        self,
        path: str | Path | None,
        description: Mapping[str, Any],
        fingerprints: Mapping[str, Any] = MappingProxyType({}),
        accept_changes: bool = False,
    ) -> None:
        """Open the file, see that it is undamaged, and compare the description."""
        self.path = path
        self._file = None if path is None else Path(path).expanduser()
        self._accept, self._compared = accept_changes, -math.inf
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = self._opened()
        found = {n: json.loads(v) for n, v in self._rows("study").items()}
        # As JSON gives them back: a tuple is a list there.
        given = json.loads(json.dumps(dict(description)))
        prints = {f"{_PRINT}{name}": value for name, value in fingerprints.items()}
        told = []
        if found:
            told = [*self._check(found, given), *self._check_prints(found, prints)]
        new = {n: v for n, v in {**given, **prints}.items() if told or n not in found}
        if told:
            new |= {n: None for n in _described(found) if n not in given}
            new[_ACCEPTED] = [*found.get(_ACCEPTED, []), *told]
        self._write("study", new)

    def _opened(self) -> sqlite3.Connection:
        """Open the file, and make its tables where it is new."""
        where = ":memory:"
        if self._file is not None:
            where = str(self._file)
            if self._file.exists():
                check_plain(self._file)
                check_beside(self._file)
        connection = sqlite3.connect(where)
        try:
            # What a file from elsewhere may ask of SQLite: nothing but rows.
            connection.execute("PRAGMA trusted_schema = OFF")
            made = dict(connection.execute(_SCHEMA).fetchall())
            if not made:
                self._begin()
                with _to_the_disk(where):
                    for text in _TABLES.values():
                        connection.execute(text)
                    connection.commit()
            elif made != {**_TABLES, **_INDICES}:
                raise DamagedFileError(
                    f"'{where}' is no file of a study, or one of an earlier version, "
                    f"whose runs cannot be trusted. {_MEND.partition(';')[0]}"
                )
            whole = connection.execute("PRAGMA integrity_check").fetchall()
            if whole != [("ok",)]:
                raise sqlite3.DatabaseError(str(whole[0][0]).splitlines()[-1])
        except (sqlite3.Error, DamagedFileError) as error:
            connection.close()
            if isinstance(error, DamagedFileError):
                raise
            raise DamagedFileError(
                f"'{where}' is no file of a study, or a damaged one: {error}"
            ) from error
        return connection

    def _rows(self, table: str) -> dict[str, str]:
        """Return the rows of a table, each compared with its SHA-256."""
        key = _KEYS[table]
        try:
            rows = self._connection.execute(
                f"SELECT {key}, sha256 FROM {table}"
            ).fetchall()
        except sqlite3.Error as error:
            raise DamagedFileError(f"'{self._file}' is damaged: {error}") from error
        for name, value, digest in rows:
            if digest != _digest(table, name, value):
                raise DamagedFileError(
                    f"'{self._file}' is damaged: a row of the table {table!r} is not "
                    "as it was written (SHA-256)"
                )
        return {name: value for name, value, _ in rows}

    def _write(self, table: str, rows: Mapping[str, Any]) -> None:
        """Write rows, and then the checksum of the file."""
        if not rows:
            return
        texts = {name: json.dumps(value) for name, value in rows.items()}
        self._begin()
        with _to_the_disk(str(self._file)), self._connection as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)",
                [
                    (name, text, _digest(table, name, text))
                    for name, text in texts.items()
                ],
            )
        if time.monotonic() - self._compared > _PAUSE:
            self._end()

    def _begin(self) -> None:
        """Note that the file changes, before it does."""
        if self._file is not None and not is_being_written(self._file):
            begin_writing(self._file)

    def _end(self) -> None:
        """Note what the file holds."""
        if self._file is not None:
            end_writing(self._file)
            self._compared = time.monotonic()

    def _check(self, found: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
        """Refuse another study; return what is accepted."""
        differing = [
            f"{name} is {json.dumps(found[name])} there and "
            f"{json.dumps(given.get(name))} here"
            for name in _described(found)
            if found[name] != given.get(name)
        ]
        return self._refused("holds runs of another study", differing)

    def _check_prints(
        self, found: Mapping[str, Any], prints: Mapping[str, Any]
    ) -> list[str]:
        """Refuse other data and networks; return what is accepted."""
        differing = [
            f"{name.removeprefix(_PRINT)} {_difference(found[name], value)}"
            for name, value in prints.items()
            if name in found and not _agree(found[name], value)
        ]
        return self._refused("holds runs on other data or networks", differing)

    def _refused(self, what: str, differing: list[str]) -> list[str]:
        if differing and not self._accept:
            more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
            raise ValueError(
                f"{str(self.path)!r} {what}: {differing[0]}{more}. {_MEND}"
            )
        if differing:
            warnings.warn(
                f"{str(self.path)!r} {what}, which was accepted: "
                f"{'; '.join(differing)}. Runs before and after are compared as if "
                "nothing had changed.",
                UserWarning,
                stacklevel=4,
            )
        return differing

    @property
    def accepted(self) -> list[str]:
        """What differed between runs in the file, and was accepted, in order."""
        return list(json.loads(self._rows("study").get(_ACCEPTED, "[]")))

    def add(self, record: Record, key: str | None = None) -> None:
        """Write a finished run; it is on the disk when this returns.

        Args:
            record: of the run.
            key: a text that no other run in the file has; None: the run's own.
        """
        self._write("runs", {key or record.run.key: dataclasses.asdict(record)})

    def records(self) -> dict[str, Record]:
        """Return the finished runs by key.

        Raises:
            DamagedFileError: if a row is not as it was written.
        """
        rows = self._rows("runs")
        try:
            return {key: _record(json.loads(text)) for key, text in rows.items()}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DamagedFileError(
                f"'{self._file}' holds a run that no version writes: {error}"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        if self._file is not None and is_being_written(self._file):
            self._end()


@contextmanager
def _to_the_disk(where: str) -> Iterator[None]:
    """Tell it as any file that cannot be written, as on a full disk.

    Args:
        where: the path of the file.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(errno.EIO, str(error), where) from error


_SCHEMA = "SELECT name, coalesce(sql, 'index') FROM sqlite_master"
_KEYS = {"study": "name, value", "runs": "key, record"}
_INDICES = {f"sqlite_autoindex_{table}_1": "index" for table in _TABLES}


def _described(found: Mapping[str, Any]) -> list[str]:
    return [n for n in found if not n.startswith(_PRINT) and n != _ACCEPTED]


def _digest(table: str, name: object, value: object) -> str:
    return hashlib.sha256(json.dumps([table, name, value]).encode()).hexdigest()


def _agree(one: object, other: object) -> bool:
    """Return whether two fingerprints are of the same thing, numbers to `_CLOSE`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_agree(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)
    return bool(one == other)


def _difference(there: object, here: object) -> str:
    if not isinstance(there, dict) or not isinstance(here, dict):
        return "differ from those of the runs"
    differing = [key for key in here if not _agree(there.get(key), here[key])]
    told = [
        f"{key} ({there.get(key)} there, {here[key]} here)"
        if isinstance(here[key], int)
        else key
        for key in differing
    ]
    return f"differs in {', '.join(told)}"


def finished_runs(path: str | Path) -> int:
    """Return how many runs are in a study's file, while another process writes to it.

    Args:
        path: the file; 0 where there is none, or it cannot be read now.
    """
    if not Path(path).exists():
        return 0
    try:
        uri = f"{Path(path).resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=1)
        try:
            return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return 0


def _record(found: dict[str, Any]) -> Record:
    run = found.pop("run")
    values = tuple((name, value) for name, value in run.pop("values"))
    return Record(run=Run(**run, values=values), **found)
