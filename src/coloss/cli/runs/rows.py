"""The rows of a configuration: every member's features, labels and split, joined."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coloss.cli.config import Config
from coloss.cli.config.members import Member
from coloss.cli.runs.labels import Labels, codes_of, read_labels
from coloss.data import align
from coloss.data.filling import filled, means_of
from coloss.data.readers import (
    DataError,
    Features,
    features_of,
    read_features,
    read_table,
)
from coloss.data.readers.errors import some
from coloss.data.splitting import PARTS, assign_parts


@dataclass
class Rows:
    """Joined rows.

    Attributes:
        ids: of the rows; their numbers where the files have no ids.
        x: (rows, ...) by member, float32; NaN where a member has no such row.
        y: (rows,) class indices with -1, or numbers with NaN, where unlabelled.
        parts: (rows,) "train", "validation" or "test".
        classes: names, in the order of the indices; None for numbers.
        groups: (rows,), or None.
        sources: by member, the features as read (names, left out columns).
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

    def part(self, name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return inputs and labels of a part."""
        rows = self.parts == name
        return {member: x[rows] for member, x in self.x.items()}, self.y[rows]

    def with_parts(self, config: Config, seed: int) -> Rows:
        """Return the same rows, split by fractions with another seed."""
        labels = [None if unknown else value for unknown, value in self._labels()]
        parts = split_by_fractions(config, labels, self.groups, seed)
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
    labels = read_labels(config, folder)
    found = {
        name: member_features(config, name, member, folder)
        for name, member in config.members.items()
    }
    labels = _joined(config, labels, found)
    x = _aligned(config, labels, found)
    y, classes = codes_of(config, labels)
    parts = parts_of(config, labels)
    fills = {
        name: means_of(x[name][parts == "train"])
        for name, member in config.members.items()
        if member.fill == "mean"
    }
    x |= {name: filled(x[name], means) for name, means in fills.items()}
    rows = Rows(labels.ids, x, y, parts, classes, labels.groups, found, fills)
    _check(config, rows)
    return rows


def member_features(
    config: Config, name: str, member: Member, folder: Path, given: Path | None = None
) -> Features:
    """Return one member's features.

    Args:
        config: checked.
        name: the member.
        member: its table in the configuration.
        folder: that paths are relative to.
        given: a file to read instead of that of the configuration.
    """
    data = config.data
    reserved = [v for v in (data.label, data.split, data.group) if v is not None]
    file = given or folder / str(member.data or data.table)
    try:
        if data.table is not None:
            table = read_table(file, () if data.id is None else (data.id,))
            return features_of(table, file, data.id, member.columns, reserved)
        return read_features(
            file,
            id=member.id or data.id,
            columns=member.columns,
            reserved=reserved,
            # New rows of an array come with ids of their own, in an NPZ file.
            ids=folder / member.ids if member.ids and given is None else None,
            array=member.array if file.suffix.lower() == ".npz" else None,
        )
    except DataError as error:
        raise DataError(f"members.{name}: {error}") from None


def _joined(config: Config, labels: Labels, found: dict[str, Features]) -> Labels:
    """Return the labels of every row that is kept; refuse ids that do not fit."""
    if config.data.id is None:
        for name, features in found.items():
            if len(features.values) != len(labels.ids):
                raise DataError(
                    f"members.{name}: its file has {len(features.values)} rows, the "
                    f"labels {len(labels.ids)}. Without an `id` column all files have "
                    "the same rows in the same order"
                )
        return labels
    known = set(labels.ids)
    for name, features in found.items():
        unlisted = [key for key in features.ids or [] if key not in known]
        if unlisted and config.data.unlisted == "refuse":
            raise DataError(
                f"members.{name}: {len(unlisted)} ids have no row among the labels: "
                f'{some(unlisted)}. data.unlisted = "unlabelled" trains on them '
                'without a label, "drop" leaves them out'
            )
        if config.data.unlisted == "unlabelled":
            labels = labels.extended(unlisted)
            known.update(unlisted)
    seen = {key for features in found.values() for key in features.ids or []}
    empty = [key for key in labels.ids if key not in seen]
    if empty:
        raise DataError(
            f"{len(empty)} ids of the labels are in no member's file: {some(empty)}. "
            "Remove them, or check that ids are written the same way"
        )
    return labels


def _aligned(
    config: Config, labels: Labels, found: dict[str, Features]
) -> dict[str, np.ndarray]:
    if config.data.id is None:
        return {name: features.values for name, features in found.items()}
    tables = {name: (f.ids, f.values) for name, f in found.items()}
    return align(tables, ids=labels.ids).x


def parts_of(config: Config, labels: Labels) -> np.ndarray:
    """Return the part of every row: as its column says, or by fractions."""
    if labels.parts is not None:
        return np.array(labels.parts)
    return split_by_fractions(config, labels.values, labels.groups, config.data.seed)


def split_by_fractions(
    config: Config, labels: list[Any], groups: list[str | None] | None, seed: int
) -> np.ndarray:
    """Return the part of every row, as `data.fractions` says.

    Raises:
        DataError: if a part would be empty.
    """
    data = config.data
    shares = (data.fractions.validation, data.fractions.test)
    stratify = data.stratify and config.is_classification
    try:
        return assign_parts(labels, shares, groups=groups, stratify=stratify, seed=seed)
    except ValueError as error:
        raise DataError(f"data.fractions: {error}") from None


def _check(config: Config, rows: Rows) -> None:
    for part in PARTS:
        share = {
            "validation": config.data.fractions.validation,
            "test": config.data.fractions.test,
        }.get(part, 1.0)
        wanted = part == "train" or (config.data.split is None and share > 0)
        if wanted and not (rows.parts == part).any():
            raise DataError(f"no row is for {part}")
    train = rows.parts == "train"
    for name, x in rows.x.items():
        flat = np.isnan(x).reshape(len(x), -1)
        partly = np.flatnonzero(flat.any(axis=1) & ~flat.all(axis=1))
        if partly.size:
            row = partly[0]
            raise DataError(
                f"members.{name}: {partly.size} rows lack single values (id "
                f"{rows.ids[row]!r}: {int(flat[row].sum())} of {flat.shape[1]}). A row "
                f'is there or missing as a whole; members.{name}.fill = "mean" fills '
                "single values"
            )
        if flat[train].all():
            raise DataError(f"members.{name}: no training row has its features")
