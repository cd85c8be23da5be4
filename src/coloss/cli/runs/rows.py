"""The rows of a configuration: every member's features, labels and split, joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coloss.cli.config import Config
from coloss.cli.config.members import Member
from coloss.cli.runs.join import aligned, joined, left_behind, without_labels
from coloss.cli.runs.labels import (
    Labels,
    check_training_labels,
    codes_of,
    read_labels,
)
from coloss.cli.runs.recorded import with_recorded
from coloss.cli.runs.settle import header_of, settled
from coloss.data.filling import filled, means_of
from coloss.data.readers import (
    DataError,
    Features,
    features_of,
    read_features,
    read_table,
)
from coloss.data.splitting import PARTS, assign_parts
from coloss.names import counted


@dataclass
class Rows:
    """Joined rows.

    Attributes:
        ids: of the rows; their numbers where the files have no ids.
        x: (rows, ...) by member, float32; NaN where a member has no such row.
        y: (rows,) class indices with -1, or numbers with NaN, where unlabeled.
        parts: (rows,) "train", "validation" or "test".
        classes: names, in the order of the indices; None for numbers.
        groups: (rows,), or None.
        sources: by member, the features as read (names, left out columns).
        unlabeled: how many rows are unlabeled, by what was found in their place.
        dropped: by member, how many rows have an id that the labels do not have, and
            are left out.
        empty: by member that has `fill = "mean"`, columns without a value to average.
        fills: by member that has `fill = "mean"`, what single gaps were filled with.
    """

    ids: list[str]
    x: dict[str, np.ndarray]
    y: np.ndarray
    parts: np.ndarray
    classes: list[str] | None
    groups: list[str | None] | None = None
    sources: dict[str, Features] = field(default_factory=dict)
    fills: dict[str, np.ndarray] = field(default_factory=dict)
    unlabeled: dict[str, int] = field(default_factory=dict)
    empty: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    def part(self, name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return inputs and labels of a part."""
        rows = self.parts == name
        return {member: x[rows] for member, x in self.x.items()}, self.y[rows]

    def with_parts(self, config: Config, seed: int) -> Rows:
        """Return the same rows, split by fractions with another seed.

        Rows for test that a column names stay so.
        """
        labels = [None if unknown else value for unknown, value in self._labels()]
        kept = None
        if config.data.split is not None:
            kept = np.where(self.parts == "test", "test", "train")
        parts = split_by_fractions(config, labels, self.groups, seed, kept)
        return dataclasses.replace(self, parts=parts)

    def _labels(self) -> list[tuple[bool, Any]]:
        unknown = self.y == -1 if self.classes is not None else np.isnan(self.y)
        return list(zip(unknown.tolist(), self.y.tolist(), strict=True))


def read_rows(config: Config, folder: Path) -> Rows:
    """Return the rows that a configuration describes.

    Args:
        config: checked.
        folder: that paths are relative to.

    Raises:
        DataError: if a file cannot be used, or files do not fit together.
    """
    config = settled(config, folder)
    labels = read_labels(config, folder)
    found = {
        name: member_features(config, name, member, folder)
        for name, member in config.sources.items()
    }
    labels = joined(config, labels, found, folder)
    found = without_labels(config, labels, found)
    y, classes = codes_of(config, labels)
    found = with_recorded(config, found, classes, folder)
    x = aligned(config, labels, found)
    parts = parts_of(config, labels)
    training = _to_fill(config, x, parts)
    fills = {name: means_of(values) for name, values in training.items()}
    empty = {name: _empty(found[name], values) for name, values in training.items()}
    x |= {name: filled(x[name], means) for name, means in fills.items()}
    rows = Rows(
        labels.ids,
        x,
        y,
        parts,
        classes,
        labels.groups,
        found,
        fills,
        labels.unlabeled,
        empty,
        left_behind(config, labels, found),
    )
    _check(config, rows)
    return rows


def _to_fill(
    config: Config, x: dict[str, np.ndarray], parts: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the training rows of members whose gaps are filled."""
    return {
        name: x[name][parts == "train"]
        for name, member in config.sources.items()
        if member.fill == "mean"
    }


def member_features(
    config: Config,
    name: str,
    member: Member,
    folder: Path,
    given: Path | None = None,
    meant: Collection[str] = (),
) -> Features:
    """Return one member's features.

    Args:
        config: checked.
        name: the member.
        member: its table in the configuration.
        folder: that paths are relative to.
        given: a file to read instead of that of the configuration.
        meant: columns that are features whatever they seem to be.
    """
    data = config.data
    reserved = reserved_columns(config, member)
    file = given or folder / str(member.file or data.table)
    try:
        if data.table is not None and member.outputs is None:
            table = read_table(file, [data.id] if data.id else [], header=data.header)
            return features_of(table, file, data.id, member.columns, reserved, meant)
        return read_features(
            file,
            id=member.id or data.id,
            columns=member.columns,
            reserved=reserved,
            # New rows of an array come with ids of their own, in an NPZ file.
            ids=folder / member.ids if member.ids and given is None else None,
            array=member.array if file.suffix.lower() == ".npz" else None,
            header=header_of(config, str(member.file)),
            meant=meant,
        )
    except DataError as error:
        raise DataError(f"members.{name}: {error}") from None


def reserved_columns(config: Config, member: Member) -> list[str]:
    """Return the columns of a member's file that are no features, such as the label.

    Without a header, the same name means another column in every file; it is the
    label in its own file alone.
    """
    data = config.data
    if header_of(config, str(member.file)) is False and member.file != data.labels:
        return []
    return [v for v in (data.label, data.split, data.group) if v is not None]


def parts_of(config: Config, labels: Labels) -> np.ndarray:
    """Return the part of every row: as its column says, or by fractions."""
    kept = None if labels.parts is None else np.array(labels.parts)
    if kept is not None and config.data.fractions is None:
        return kept
    seed = config.data.seed
    return split_by_fractions(config, labels.values, labels.groups, seed, kept)


def split_by_fractions(
    config: Config,
    labels: list[Any],
    groups: list[str | None] | None,
    seed: int,
    kept: np.ndarray | None = None,
) -> np.ndarray:
    """Return the part of every row, as `data.fractions` says.

    Args:
        config: checked.
        labels: (rows,), None where there is none.
        groups: (rows,), or None.
        seed: of the dealing.
        kept: (rows,) parts that a column says; rows for train are dealt out.

    Raises:
        DataError: if a part would be empty.
    """
    parts = (
        np.full(len(labels), "train", "<U10") if kept is None else kept.astype("<U10")
    )
    dealt = np.flatnonzero(parts == "train").tolist()
    stratify = config.data.stratify and config.is_classification
    try:
        parts[dealt] = assign_parts(
            [labels[row] for row in dealt],
            config.data.shares,
            groups=None if groups is None else [groups[row] for row in dealt],
            stratify=stratify,
            seed=seed,
        )
    except ValueError as error:
        raise DataError(f"data.fractions: {error}") from None
    return parts


def _empty(features: Features, values: np.ndarray) -> list[str]:
    """Return the columns without a value; of arrays, their numbers."""
    places = np.flatnonzero(np.isnan(values).reshape(len(values), -1).all(axis=0))
    names = features.names
    return [names[place] if names else str(place) for place in places.tolist()]


def _check(config: Config, rows: Rows) -> None:
    for part in PARTS:
        share = dict(zip(PARTS[1:], config.data.shares, strict=True)).get(part, 1.0)
        wanted = part == "train" or (config.data.split is None and share > 0)
        if wanted and not (rows.parts == part).any():
            raise DataError(f"no row is for {part}")
    check_training_labels(rows.parts, rows.y, rows.classes)
    train = rows.parts == "train"
    for name, x in rows.x.items():
        flat = np.isnan(x).reshape(len(x), -1)
        partly = np.flatnonzero(flat.any(axis=1) & ~flat.all(axis=1))
        if partly.size:
            row = partly[0]
            raise DataError(
                f"members.{name}: {counted(partly.size, 'row')} with single values "
                f"missing (id {rows.ids[row]!r}: {int(flat[row].sum())} of "
                f"{flat.shape[1]}). A row is there or missing as a whole; "
                f'members.{name}.fill = "mean" fills '
                "single values"
            )
        if flat[train].all():
            what = "a prediction in it" if name in config.recorded else "its features"
            raise DataError(f"members.{name}: no training row has {what}")
