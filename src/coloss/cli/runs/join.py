"""Members' rows and labels side by side: by id, or by their place in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from coloss.cli.config import Config
from coloss.cli.runs.labels import Labels, label_file
from coloss.cli.runs.settle import columns_by_file, header_of
from coloss.data import align
from coloss.data.readers import (
    DataError,
    Features,
    column_as_text,
    id_difference,
    label_like,
    read_table,
)
from coloss.data.readers.errors import some
from coloss.data.readers.left_out import LABEL
from coloss.names import counted


def joined(
    config: Config, labels: Labels, found: dict[str, Features], folder: Path
) -> Labels:
    """Return the labels of every row that is kept.

    Args:
        config: settled.
        labels: as read.
        found: features by member, as read.
        folder: that paths are relative to.

    Raises:
        DataError: if ids, or numbers of rows, do not fit.
    """
    if config.data.id is None:
        _check_places(config, labels, found, folder)
        return labels
    known = set(labels.ids)
    # A row that only a prediction is recorded for trains nobody: networks come first,
    # and theirs alone are the rows.
    networks = [name for name in found if name not in config.recorded]
    for name in (*networks, *config.recorded):
        unlisted = [key for key in found[name].ids or [] if key not in known]
        _check_listed(config, name, found[name], unlisted, known)
        if config.data.unlisted == "unlabeled" and name in networks:
            labels = labels.extended(unlisted)
            known.update(unlisted)
    seen = {key for name in networks for key in found[name].ids or []}
    empty = [key for key in labels.ids if key not in seen]
    if empty:
        other = id_difference(empty, seen)
        if other is not None:
            raise DataError(f"data.labels: {other}")
        verb = "is" if len(empty) == 1 else "are"
        raise DataError(
            f"{counted(len(empty), 'id')} of the labels {verb} in no member's file: "
            f"{some(empty)}. Remove them, or check that ids are written the same way"
        )
    return labels


def left_behind(
    config: Config, labels: Labels, found: dict[str, Features]
) -> dict[str, int]:
    """Return how many of each member's rows have no label row, and are not kept.

    Args:
        config: settled.
        labels: joined.
        found: features by member, as read.
    """
    if config.data.id is None:
        return dict.fromkeys(found, 0)
    known = set(labels.ids)
    return {
        name: sum(key not in known for key in features.ids or [])
        for name, features in found.items()
    }


def without_labels(
    config: Config, labels: Labels, found: dict[str, Features]
) -> dict[str, Features]:
    """Return features without the columns that say the label in every row.

    Those that the configuration names in full are meant, and stay; so do recorded
    predictions, which may be right in every row.

    Args:
        config: settled.
        labels: joined.
        found: features by member, as read.

    Raises:
        DataError: if a member has no other column.
    """
    known: Any = labels.values
    if config.data.id is not None:
        known = dict(zip(labels.ids, labels.values, strict=True))
    kept = {}
    for name, features in found.items():
        if name in config.recorded:
            kept[name] = features
            continue
        named = config.members[name].columns or ()
        copies = [c for c in label_like(features, known) if c not in named]
        if copies and len(copies) == len(features.names):
            raise DataError(
                f"members.{name}: its only features say the label in every row: "
                f"{some(copies)}"
            )
        kept[name] = features.without(copies, LABEL)
    return kept


def aligned(
    config: Config, labels: Labels, found: dict[str, Features]
) -> dict[str, np.ndarray]:
    """Return each member's features in the order of the labels, NaN where absent."""
    if config.data.id is None:
        return {name: features.values for name, features in found.items()}
    tables = {name: (f.ids, f.values) for name, f in found.items()}
    return align(tables, ids=labels.ids).x


def _check_places(
    config: Config, labels: Labels, found: dict[str, Features], folder: Path
) -> None:
    """Refuse rows that cannot be joined by their place in the files."""
    for name, features in found.items():
        if len(features.values) != len(labels.ids):
            raise DataError(
                f"members.{name}: its file has {counted(len(features.values), 'row')}, "
                f"the labels {len(labels.ids)}. Without an `id` column all files have "
                "the same rows in the same order"
            )
    if config.data.table is not None:
        return
    label, labeled = config.data.label, label_file(config)
    for file, names in columns_by_file(config, folder).items():
        if label not in names or file == labeled:
            continue
        # The same column in another file shows whether the order is the same.
        header = header_of(config, file)
        if header is False:
            continue  # The same name is another column there.
        table = read_table(folder / file, (label,), only=(label,), header=header)
        others = column_as_text(table, label, folder / file)
        differ = [
            row
            for row, (one, other) in enumerate(zip(labels.values, others, strict=True))
            if one is not None and other is not None and one != other
        ]
        if differ:
            row = differ[0]
            raise DataError(
                f"the column {label!r} of '{file}' differs from that of '{labeled}' in "
                f"{counted(len(differ), 'row')} (row {row}, from 0: {others[row]!r} "
                f"and {labels.values[row]!r}): the files do not have the same rows in "
                "the same order. Join them by an `id` column"
            )


def _check_listed(
    config: Config,
    name: str,
    features: Features,
    unlisted: list[str],
    known: set[str],
) -> None:
    """Refuse ids without a label row, where these are not wanted."""
    if not unlisted:
        return
    other = id_difference(unlisted, known)
    # Where none fits, what was meant is not that all rows are without a label.
    none = len(unlisted) == len(features.ids or ())
    if other and (none or config.data.unlisted == "refuse"):
        raise DataError(f"members.{name}: {other}")
    if config.data.unlisted == "refuse":
        verb = "has" if len(unlisted) == 1 else "have"
        mend = '"unlabeled" trains on them without a label, "drop" leaves them out'
        if name in config.recorded:  # Alone they are no rows to train on.
            mend = '"drop" leaves them out'
        raise DataError(
            f"members.{name}: {counted(len(unlisted), 'id')} {verb} no row among the "
            f"labels: {some(unlisted)}. data.unlisted = {mend}"
        )
