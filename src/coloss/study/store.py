"""Finished runs on disk, so that an interrupted study goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coloss.study.arms import Run
from coloss.study.settings import Record

_TABLES = """
CREATE TABLE IF NOT EXISTS study (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, record TEXT NOT NULL);
"""


class Store:
    """A SQLite file with one row a finished run.

    A run is in it whole or not at all, whenever the process is killed.

    Args:
        path: the file; made if it does not exist. None: in memory only.
        description: what the runs have in common, by name. A file of another study
            is refused.

    Raises:
        ValueError: if the file holds runs of a study with another description.
    """

    def __init__(self, path: str | Path | None, description: Mapping[str, Any]) -> None:
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
        self._check(description)

    def _check(self, description: Mapping[str, Any]) -> None:
        given = {name: json.dumps(value) for name, value in description.items()}
        rows = self._connection.execute("SELECT name, value FROM study")
        found = dict(rows.fetchall())
        for name in found:
            if found[name] != given.get(name):
                raise ValueError(
                    f"{str(self.path)!r} holds runs of another study: {name} is "
                    f"{found[name]} there and {given.get(name)} here. Give another "
                    "`path`, or delete the file."
                )
        if not found:
            with self._connection as connection:
                connection.executemany("INSERT INTO study VALUES (?, ?)", given.items())

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
