"""What a training takes its rows from, and what is told of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from coloss.cli.config import Config
from coloss.data.readers import LeftOut
from coloss.data.splitting import PARTS
from coloss.data.standardizing import Standardizer

SAMPLE = 256
"""Rows on which gradients are measured before the first step."""


class Piece(NamedTuple):
    """Some rows of one part.

    Attributes:
        part: "train", "validation" or "test".
        ids: of the rows.
        x: inputs by member.
        y: labels.
    """

    part: str
    ids: list[str]
    x: dict[str, np.ndarray]
    y: np.ndarray

    def rows(self, which: slice) -> Piece:
        """Return some of the rows."""
        x = {name: values[which] for name, values in self.x.items()}
        return Piece(self.part, self.ids[which], x, self.y[which])

    def joined(self, other: Piece) -> Piece:
        """Return these rows and others of the same part behind."""
        x = {n: np.concatenate([v, other.x[n]]) for n, v in self.x.items()}
        y = np.concatenate([self.y, other.y])
        return Piece(self.part, self.ids + other.ids, x, y)


class Source(Protocol):
    """Rows in memory, or read while training."""

    @property
    def config(self) -> Config:
        """What was asked for."""

    @property
    def classes(self) -> list[str] | None:
        """Names, in the order of the outputs; None for numbers."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of one row, by member."""

    def standardizers(self) -> dict[str, Standardizer]:
        """Return those of members whose networks standardize."""

    def fit_arguments(self, batch_size: int, seed: int) -> dict[str, Any]:
        """Return what `JointModel.fit` takes as data."""

    def sample(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return some training rows."""

    def pieces(self) -> Iterator[Piece]:
        """Yield validation and test rows."""

    def describe(self) -> dict[str, Any]:
        """Return what `data.json` holds."""

    def columns(self) -> dict[str, Any]:
        """Return what new files must have: by member, `names` and `fill`."""


def outputs_of(source: Source) -> int:
    """Return how many outputs each network needs."""
    return 1 if source.classes is None else len(source.classes)


def standardizes(config: Config, name: str) -> bool:
    """Return whether a member's network standardizes its input."""
    member = config.members[name]
    return config.data.standardize and member.model is None and member.outputs is None


def is_labeled(y: np.ndarray) -> np.ndarray:
    """Return which labels are there."""
    return ~np.isnan(y) if y.dtype.kind == "f" else y >= 0


def by_part(parts: np.ndarray, which: np.ndarray) -> dict[str, int]:
    """Return how many rows of each part are meant."""
    return {part: int((which & (parts == part)).sum()) for part in PARTS}


def described(
    config: Config,
    classes: list[str] | None,
    parts: np.ndarray,
    y: np.ndarray,
    unlabeled: dict[str, int],
) -> dict[str, Any]:
    """Return the part of `data.json` that labels and splits decide.

    Args:
        config: checked.
        classes: names; None for numbers.
        parts: (rows,).
        y: (rows,) labels.
        unlabeled: how many rows are, by what was found in place of a label.
    """
    labeled = is_labeled(y)
    data = config.data
    return {
        "rows": by_part(parts, np.ones(len(parts), bool)),
        "labeled": by_part(parts, labeled),
        "unlabeled": unlabeled,
        "classes": classes,
        "class_counts": class_counts(classes, parts, y, labeled),
        "id": data.id,
        "label": data.label,
        "members": {
            name: {
                "files": [member.file or data.table],
                "dtype": "float32",
                "standardized": standardizes(config, name),
            }
            for name, member in config.sources.items()
        },
    }


def class_counts(
    classes: list[str] | None, parts: np.ndarray, y: np.ndarray, which: np.ndarray
) -> dict[str, dict[str, int]] | None:
    """Return how many of some rows are of each class, by part.

    Args:
        classes: names; None for numbers, which are not counted.
        parts: (rows,).
        y: (rows,) class indices.
        which: (rows,) rows that are meant; all have a label.
    """
    if classes is None:
        return None
    found = {part: Counter(y[which & (parts == part)].tolist()) for part in PARTS}
    return {
        part: {name: found[part][place] for place, name in enumerate(classes)}
        for part in PARTS
    }


def described_member(
    classes: list[str] | None, parts: np.ndarray, y: np.ndarray, absent: np.ndarray
) -> dict[str, Any]:
    """Return what `data.json` says of a member's rows.

    Args:
        classes: names; None for numbers.
        parts: (rows,).
        y: (rows,) labels.
        absent: (rows,) whether the member lacks a row.
    """
    usable = ~absent & is_labeled(y)
    return {
        "missing": by_part(parts, absent),
        "present": by_part(parts, ~absent),
        "labeled": by_part(parts, usable),
        "class_counts": class_counts(classes, parts, y, usable),
    }


def describe_readers(
    config: Config,
    told: dict[str, Any],
    parts: np.ndarray,
    y: np.ndarray,
    missing: Mapping[str, np.ndarray],
) -> None:
    """Add to `data.json` the members that read the data of others.

    Args:
        config: checked.
        told: what is told of the others.
        parts: (rows,).
        y: (rows,) labels.
        missing: (rows,) whether a member lacks a row, by member with data.
    """
    members = told["members"]
    for name, member in config.members.items():
        if member.inputs is None:
            continue
        rule = np.all if member.missing == "zero" else np.any
        absent = rule([missing[key] for key in member.inputs], axis=0)
        found = described_member(told["classes"], parts, y, absent)
        files = [file for key in member.inputs for file in members[key]["files"]]
        members[name] = found | {
            "files": list(dict.fromkeys(files)),
            "dtype": "float32",
            "standardized": standardizes(config, name),
            "width": sum(members[key]["width"] for key in member.inputs),
            "dropped": 0,
            "left_out": [],
            "empty": [],
        }


def as_facts(left_out: Iterable[LeftOut]) -> list[dict[str, str]]:
    """Return columns that are left out, as `data.json` holds them."""
    return [dataclasses.asdict(column) for column in left_out]
