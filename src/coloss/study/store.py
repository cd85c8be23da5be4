"""Finished runs on disk, so that an interrupted study goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import math
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coloss.study.arms import Run
from coloss.study.settings import Record

_TABLES = """
CREATE TABLE IF NOT EXISTS study (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, record TEXT NOT NULL);
"""
_PRINT = "fingerprint of "
_MEND = "Give another `path`, or delete the file."
_CLOSE = 1e-5


class Store:
    """A SQLite file with one row a finished run.

    A run is in it whole or not at all, whenever the process is killed.

    Args:
        path: the file; made if it does not exist. None: in memory only.
        description: what the runs have in common, by name. A file of another study
            is refused.
        fingerprints: of data and networks, by a name for each; what both studies have
            must agree. See `coloss.study.fingerprint`.

    Raises:
        ValueError: if the file holds runs of a study with another description, or on
            other data or networks.
    """

    def __init__(
        self,
        path: str | Path | None,
        description: Mapping[str, Any],
        fingerprints: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Open the file and compare the description."""
        self.path = path
        if path is not None:
            Path(path).expanduser().parent.mkdir(parents=True, exist_ok=True)
        where = ":memory:" if path is None else str(Path(path).expanduser())
        self._connection = sqlite3.connect(where)
        try:
            self._connection.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{where!r} is no file of a study: {error}. Give another `path`."
            ) from error
        rows = self._connection.execute("SELECT name, value FROM study")
        found = {name: json.loads(value) for name, value in rows.fetchall()}
        prints = {f"{_PRINT}{name}": value for name, value in fingerprints.items()}
        if found:
            self._check(found, description)
            self._check_prints(found, prints)
        new = [
            (name, json.dumps(value))
            for name, value in {**description, **prints}.items()
            if name not in found
        ]
        with self._connection as connection:
            connection.executemany("INSERT INTO study VALUES (?, ?)", new)

    def _check(self, found: Mapping[str, Any], description: Mapping[str, Any]) -> None:
        # As JSON gives them back: a tuple is a list there.
        given = json.loads(json.dumps(dict(description)))
        for name, value in found.items():
            if not name.startswith(_PRINT) and value != given.get(name):
                raise ValueError(
                    f"{str(self.path)!r} holds runs of another study: {name} is "
                    f"{json.dumps(value)} there and {json.dumps(given.get(name))} "
                    f"here. {_MEND}"
                )

    def _check_prints(
        self, found: Mapping[str, Any], prints: Mapping[str, Any]
    ) -> None:
        if prints and not any(name.startswith(_PRINT) for name in found):
            raise ValueError(
                f"{str(self.path)!r} is of an earlier version, which did not write "
                "down what data and networks its runs had: they cannot be compared. "
                f"{_MEND}"
            )
        differing = [
            f"{name.removeprefix(_PRINT)} {_difference(found[name], value)}"
            for name, value in prints.items()
            if name in found and not _agree(found[name], value)
        ]
        if differing:
            more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
            raise ValueError(
                f"{str(self.path)!r} holds runs on other data or networks: "
                f"{differing[0]}{more}. {_MEND}"
            )

    def add(self, record: Record, key: str | None = None) -> None:
        """Write a finished run; it is on the disk when this returns.

        Args:
            record: of the run.
            key: a text that no other run in the file has; None: the run's own.
        """
        row = (key or record.run.key, json.dumps(dataclasses.asdict(record)))
        with self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", row)

    def records(self) -> dict[str, Record]:
        """Return the finished runs by key."""
        rows = self._connection.execute("SELECT key, record FROM runs")
        return {key: _record(json.loads(text)) for key, text in rows.fetchall()}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


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
