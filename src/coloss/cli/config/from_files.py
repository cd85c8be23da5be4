"""What `coloss init` finds in files: headers, ids, the label, what joins the rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from coloss.cli.config.data import ROW
from coloss.cli.config.template import PATTERN, Wanted
from coloss.cli.errors import CliError
from coloss.data.readers import (
    column_as_text,
    column_names,
    looks_headerless,
    read_features,
    read_table,
)
from coloss.data.readers.errors import some
from coloss.data.splitting import ALIASES

ID_NAMES = ("id", "ids", "name", "file", "filename", "utterance", "key", "index")
TIMES = ("frameTime", "frameIndex")
LABEL_NAMES = ("label", "labels", "class", "emotion", "target", "y")
_ARRAYS = (".npy", ".npz")


def completed(wanted: Wanted, folder: Path) -> Wanted:
    """Return what is wanted with all that the files say.

    Args:
        wanted: as asked for.
        folder: that paths are relative to.

    Raises:
        CliError: if a file does not exist, or its columns do not say.
        DataError: if a file cannot be read.
    """
    if not wanted.members:
        return PATTERN
    files = _Files(wanted, folder)
    if wanted.table is not None:
        label = wanted.label or files.guess("label", LABEL_NAMES, wanted.table)
        found = dataclasses.replace(wanted, label=label)
    elif wanted.labels is not None:
        label = wanted.label or files.guess("label", LABEL_NAMES, wanted.labels)
        found = _joined(dataclasses.replace(wanted, label=label), files)
    else:
        file, label = _labeled(wanted, files)
        found = _joined(dataclasses.replace(wanted, labels=file, label=label), files)
    return dataclasses.replace(
        found,
        headerless=frozenset(files.headerless),
        draws_validation=_draws_validation(found, files),
    )


class _Files:
    """The tables that are named; each is looked at once.

    Attributes:
        columns: names of the columns of each table, by its path as given.
        headerless: those whose first line holds values.
    """

    def __init__(self, wanted: Wanted, folder: Path) -> None:
        self.folder = folder
        members = () if wanted.table else wanted.members.values()
        files = dict.fromkeys(f for f in (wanted.table, wanted.labels, *members) if f)
        self.headerless: list[str] = []
        self.columns: dict[str, list[str]] = {}
        for file in files:
            path = folder / file
            if not path.exists():
                raise CliError(f"there is no file '{path}'.")
            if path.suffix.lower() in _ARRAYS:
                continue
            if looks_headerless(path):
                self.headerless.append(file)
            self.columns[file] = column_names(path, header=self.header(file))

    def header(self, file: str) -> bool:
        """Return whether the first line of a file names its columns."""
        return file not in self.headerless

    def values(self, file: str, column: str) -> list[str | None]:
        """Return a column as text."""
        path = self.folder / file
        table = read_table(path, (column,), only=(column,), header=self.header(file))
        return column_as_text(table, column, path)

    def rows(self, file: str) -> int:
        """Return how many rows a file has."""
        path = self.folder / file
        if file not in self.columns:
            return len(read_features(path).values)
        first = self.columns[file][:1]
        return read_table(path, only=first, header=self.header(file)).num_rows

    def ids(self, file: str) -> list[str]:
        """Return the columns of a file that are called as ids are."""
        names = self.columns.get(file, [])
        return [name for name in names if name.lower() in ID_NAMES]

    def guess(self, what: str, usual: Iterable[str], file: str) -> str:
        """Return the one column that is called as such columns are.

        Raises:
            CliError: if there is none, or several.
        """
        names = self.columns[file]
        found = [name for name in names if name.lower() in usual]
        if len(found) == 1:
            return found[0]
        raise CliError(
            f"{self.folder / file}: which column is the {what}? Say it: --{what} NAME "
            f"(columns: {', '.join(names[:8])}).",
            note=self._told_header(file),
        )

    def _told_header(self, file: str) -> str | None:
        if file not in self.headerless:
            return None
        return (
            "Its first line holds values, not names: columns are column_1 to "
            f"column_{len(self.columns[file])}."
        )


def _labeled(wanted: Wanted, files: _Files) -> tuple[str, str]:
    """Return the member's file that has the label, and its column there.

    Raises:
        CliError: if the files do not say.
    """
    tables = [f for f in dict.fromkeys(wanted.members.values()) if f in files.columns]
    if not tables:
        raise CliError("the labels are in no file: --labels FILE, or --table FILE.")
    names = (wanted.label,) if wanted.label else LABEL_NAMES
    named = {
        file: [c for c in files.columns[file] if c in names or c.lower() in names]
        for file in tables
    }
    holders = [file for file in tables if len(named[file]) == 1]
    # Without a header the same name means another column in every file.
    if len(holders) > 1 and all(file in files.headerless for file in holders):
        raise CliError(
            f"{wanted.label!r} is a column of {', '.join(holders)}; which is meant? "
            "Say it: --labels FILE."
        )
    if holders:
        return holders[0], named[holders[0]][0]
    last = _last_columns(tables, files)
    if last is not None:
        return last
    shown = "; ".join(f"{f}: {some(files.columns[f][-3:])}" for f in tables)
    raise CliError(
        "no file has a column that is called as labels are. Say where they are: "
        f"--labels FILE --label NAME (last columns of {shown}).",
    )


def _last_columns(tables: list[str], files: _Files) -> tuple[str, str] | None:
    """Return the last column of headerless files, where it is surely the label.

    It is where it is the same in each of several files, or the one column of text.
    """
    last = {f: files.columns[f][-1] for f in tables if f in files.headerless}
    values = {file: files.values(file, column) for file, column in last.items()}
    first = next(iter(last), None)
    if first is None:
        return None
    if len(last) > 1 and all(found == values[first] for found in values.values()):
        return first, last[first]
    text = [file for file, found in values.items() if _is_text(found)]
    return (text[0], last[text[0]]) if len(text) == 1 else None


def _is_text(values: list[str | None]) -> bool:
    known = [value for value in values if value not in (None, "?")]
    return bool(known) and all(not _is_number(str(value)) for value in known)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _joined(wanted: Wanted, files: _Files) -> Wanted:
    """Return what is wanted with what joins the rows: a column, or their place.

    Raises:
        CliError: if it is neither.
    """
    source = str(wanted.labels)
    id = wanted.id or _shared_id(wanted, files)
    if id is None:
        _check_rows(wanted, files)
        id = ROW
    own = {
        name: files.guess("id", ID_NAMES, file)
        for name, file in wanted.members.items()
        if id != ROW and file in files.columns and id not in files.columns[file]
    }
    if id not in (ROW, *files.columns[source]) and source in wanted.members.values():
        id = own[next(n for n, f in wanted.members.items() if f == source)]
    return dataclasses.replace(
        wanted, id=id, own_ids=own, left_out=_left_out(wanted, files, id)
    )


def _shared_id(wanted: Wanted, files: _Files) -> str | None:
    """Return the column of ids of the labels, if every file has one."""
    found = files.ids(str(wanted.labels))
    for name, file in wanted.members.items():
        if file in files.columns and len(files.ids(file)) != 1:
            return None
        if file not in files.columns and not _array_has_ids(
            files.folder / file, found, name in wanted.ids
        ):
            return None
    return found[0] if len(found) == 1 else None


def _array_has_ids(path: Path, names: list[str], given: bool) -> bool:
    if given or path.suffix.lower() == ".npy":
        return given
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            return any(name in archive.files for name in names)
    except (OSError, ValueError):
        return True  # What is wrong with it is told where it is read.


def _check_rows(wanted: Wanted, files: _Files) -> None:
    """Refuse files that have no ids and different numbers of rows."""
    named = dict.fromkeys([str(wanted.labels), *wanted.members.values()])
    rows = {file: files.rows(file) for file in named}
    if len(set(rows.values())) > 1:
        shown = ", ".join(f"{file}: {number}" for file, number in rows.items())
        ids = files.ids(str(wanted.labels))
        known = files.columns.get(str(wanted.labels), [])
        seen = f"like ids: {some(ids)}" if ids else f"columns: {some(known, 8)}"
        raise CliError(
            "what joins the rows? No column of ids is in every file, and the files "
            f"have different numbers of rows ({shown}). Which column is the id? Say "
            f"it: --id NAME ({seen})."
        )


def _left_out(wanted: Wanted, files: _Files, id: str) -> Mapping[str, list[str]]:
    """Return the columns that are hardly meant as features: times, and other ids."""
    found = {}
    for name, file in wanted.members.items():
        names = files.columns.get(file, [])
        ids = files.ids(file) if id == ROW else []
        columns = [c for c in names if c in TIMES or c in ids]
        found[name] = [c for c in columns if c not in (wanted.label, wanted.split)]
    return found


def _draws_validation(wanted: Wanted, files: _Files) -> bool:
    """Return whether the column of the split has no row for validation."""
    if wanted.split is None:
        return False
    values = files.values(str(wanted.table or wanted.labels), wanted.split)
    parts = {ALIASES.get((value or "").lower()) for value in values}
    return "validation" not in parts and "train" in parts
