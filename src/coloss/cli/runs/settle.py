"""What a configuration leaves to its files: where the label is, what joins rows.

A settled configuration says it all: `labels` or `table` names the file of the labels,
`id` is a column or None, and `fractions` are those that count.
"""

from __future__ import annotations

from pathlib import Path

from coloss.cli.config import Config
from coloss.cli.config.data import ROW, Fractions
from coloss.data.readers import DataError, column_names
from coloss.data.readers.errors import some
from coloss.names import nearest


def settled(config: Config, folder: Path) -> Config:
    """Return a configuration with what its files decide; looks at their first lines.

    Args:
        config: checked.
        folder: that paths are relative to.

    Raises:
        DataError: if no file has the label, or only some have a column `row`.
    """
    data = config.data
    changed: dict[str, object] = {}
    if data.table is None and data.labels is None:
        changed["labels"] = _file_of_label(config, folder)
    config = _changed(config, changed)
    if data.id == ROW and not _has_rows_column(config, folder):
        changed["id"] = None
    if data.split is None:
        changed["fractions"] = data.fractions or Fractions()
    elif data.fractions is not None:
        changed["fractions"] = Fractions(validation=data.fractions.validation, test=0.0)
    return _changed(config, changed)


def _changed(config: Config, changed: dict[str, object]) -> Config:
    data = config.data.model_copy(update=changed)
    return config.model_copy(update={"data": data})


def columns_by_file(config: Config, folder: Path) -> dict[str, list[str]]:
    """Return the columns of every member's table, by its path; arrays have none."""
    files = [m.file for m in config.members.values() if m.file is not None]
    tables = [f for f in files if not f.lower().endswith((".npy", ".npz"))]
    return {
        file: column_names(folder / file, header=header_of(config, file))
        for file in dict.fromkeys(tables)
    }


def header_of(config: Config, file: str) -> bool | None:
    """Return what the configuration says of a file's first line.

    Args:
        config: checked.
        file: of a member, of the labels, or the table, as it is given there.
    """
    if (
        file in (config.data.labels, config.data.table)
        and config.data.header is not None
    ):
        return config.data.header
    return next((m.header for m in config.members.values() if m.file == file), None)


def _file_of_label(config: Config, folder: Path) -> str:
    """Return the first file of a member that has the column of the label."""
    label = config.data.label
    columns = columns_by_file(config, folder)
    holders = [file for file, names in columns.items() if label in names]
    bare = [file for file in holders if header_of(config, file) is False]
    if len(bare) > 1:
        raise DataError(
            f"data.label: {label!r} is a column of {', '.join(bare)}, which have no "
            "header; say which is meant: data.labels"
        )
    if holders:
        return holders[0]
    known = dict.fromkeys(name for names in columns.values() for name in names)
    raise DataError(
        f"data.label: no member's file has a column {label!r}{nearest(label, known)} "
        f"(columns: {some(known, 6)}). Labels in a file of their own need data.labels"
    )


def _has_rows_column(config: Config, folder: Path) -> bool:
    """Return whether `row` is a column that joins, and not the place of a row."""
    columns = columns_by_file(config, folder)
    path = str(config.data.labels or config.data.table)
    if path not in columns:
        columns[path] = column_names(folder / path, header=header_of(config, path))
    if ROW in columns[path]:
        return True
    for file, names in columns.items():
        if ROW in names:
            raise DataError(
                f"data.id: '{file}' has a column {ROW!r} and '{path}' has none: "
                f'id = "{ROW}" may mean the column or the place of a row; rename it'
            )
    return False
