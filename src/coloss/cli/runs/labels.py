"""Labels, splits and groups, as the files say them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coloss.cli.config import Config
from coloss.cli.runs.settle import header_of
from coloss.data.label_encoding import class_codes, numbers
from coloss.data.readers import DataError, column_as_text, ids_of, read_table
from coloss.data.readers.errors import some
from coloss.data.splitting import ALIASES, PARTS
from coloss.names import counted


@dataclass(frozen=True)
class Labels:
    """One entry a row each.

    Attributes:
        ids: of the rows.
        values: label as text; None where there is none.
        parts: "train", "validation" or "test"; None where shares decide.
        groups: None where there are none.
        path: the file, for messages.
        unlabeled: how many rows are unlabeled, by what was found in their place.
    """

    ids: list[str]
    values: list[str | None]
    parts: list[str] | None
    groups: list[str | None] | None
    path: Path
    unlabeled: dict[str, int] = dataclasses.field(default_factory=dict)

    def extended(self, ids: list[str]) -> Labels:
        """Return the labels with unlabeled training rows behind."""
        more = len(ids)
        return dataclasses.replace(
            self,
            ids=[*self.ids, *ids],
            values=[*self.values, *[None] * more],
            parts=None if self.parts is None else [*self.parts, *["train"] * more],
            # Each a group of its own: nobody says whose they are.
            groups=None if self.groups is None else [*self.groups, *ids],
            unlabeled=self.unlabeled
            | ({"no row among the labels": more} if more else {}),
        )


def read_labels(config: Config, folder: Path) -> Labels:
    """Return the labels that a configuration names.

    Raises:
        DataError: if the file or a column cannot be used.
    """
    data = config.data
    path, id = folder / label_file(config), label_id(config)
    wanted = [id, data.label, data.split, data.group]
    try:
        named = [name for name in wanted if name is not None]
        header = header_of(config, label_file(config))
        table = read_table(path, named, only=named, header=header)
        values = column_as_text(table, data.label, path)
        if id is None:
            ids = [str(row) for row in range(table.num_rows)]
        else:
            ids = ids_of(table, id, path)
        split = None if data.split is None else column_as_text(table, data.split, path)
        group = None if data.group is None else column_as_text(table, data.group, path)
    except DataError as error:
        raise DataError(f"data: {error}") from None
    missing = _missing(config)
    labels = [None if value in missing else value for value in values]
    if group is not None and None in group:
        raise DataError(
            f"data.group: {counted(group.count(None), 'row')} of {path} without "
            f"{data.group!r}"
        )
    unlabeled = Counter(
        "an empty cell or '?'" if value is None else repr(value)
        for value in values
        if value in missing
    )
    parts = _parts(config, split, labels, path)
    return Labels(ids, labels, parts, group, path, dict(unlabeled))


def label_file(config: Config) -> str:
    """Return the file of the labels; the configuration is settled."""
    return str(config.data.labels or config.data.table)


def label_id(config: Config) -> str | None:
    """Return the column of ids in the file of the labels."""
    for member in config.members.values():
        if member.file is not None and member.file == config.data.labels:
            return member.id or config.data.id
    return config.data.id


def _missing(config: Config) -> set[str | None]:
    given = config.data.missing_labels
    if given is None:
        given = ["?", -1] if config.is_classification else ["?"]
    return {None, *(str(value) for value in given)}


def _parts(
    config: Config,
    split: list[str | None] | None,
    labels: list[str | None],
    path: Path,
) -> list[str] | None:
    if split is None:
        return None
    parts = [ALIASES.get((value or "").lower()) for value in split]
    unknown = sorted({v or "" for v, p in zip(split, parts, strict=True) if p is None})
    if unknown:
        raise DataError(
            f"data.split: {path} says {some(unknown)}; expected {', '.join(PARTS)}"
        )
    found = [str(part) for part in parts]
    known = {p for p, label in zip(found, labels, strict=True) if label is not None}
    if "train" not in known:
        raise DataError(f"data.split: {path} has no labeled row for train")
    drawn = config.data.fractions is not None
    if drawn and "validation" in known:
        raise DataError(
            f"data.fractions: {path}: the column {config.data.split!r} has rows for "
            "validation already; leave `fractions` out"
        )
    if not drawn and "validation" not in known:
        raise DataError(
            f"data.split: {path} has no labeled row for validation; "
            "fractions = { validation = 0.15 } takes them from the rows for train"
        )
    return found


def codes_of(config: Config, labels: Labels) -> tuple[np.ndarray, list[str] | None]:
    """Return labels as numbers, and the classes' names.

    Returns:
        (rows,) int32 with -1 where unlabeled and the classes, or float32 with NaN
        and None.

    Raises:
        DataError: if a label is no class, or no number.
    """
    given = config.data.classes
    try:
        if not config.is_classification:
            return numbers(labels.values, labels.ids), None
        listed = None if given is None else [str(name) for name in given]
        return class_codes(labels.values, listed)
    except DataError as error:
        raise DataError(f"data.label: {labels.path} {error}") from None


def check_training_labels(
    parts: np.ndarray, y: np.ndarray, classes: list[str] | None
) -> None:
    """Refuse training rows from which no class can be told from another.

    Args:
        parts: (rows,).
        y: (rows,) class indices, -1 where unlabeled; or numbers.
        classes: names; None for numbers.

    Raises:
        DataError: if the labeled ones among them are of one class.
    """
    if classes is None:
        return
    found = np.unique(y[(parts == "train") & (y >= 0)])
    if len(found) == 1:
        raise DataError(
            f"data.label: the rows for train have one class only, "
            f"{classes[found[0]]!r}; the others are for validation or test"
        )
