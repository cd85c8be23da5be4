"""What a training takes its rows from, and what is told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from coloss.cli.config import Config
from coloss.cli.runs.networks import Spread
from coloss.cli.runs.rows import Rows, read_rows
from coloss.data.splitting import PARTS

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

    def spreads(self) -> dict[str, Spread]:
        """Return mean and variance of members whose networks standardise."""

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
    """Return whether a member's network standardises its input."""
    return config.data.standardize and config.members[name].model is None


def open_source(config: Config, folder: Path) -> Source:
    """Return the rows of a configuration, read or ready to be read.

    Raises:
        DataError: if a file cannot be used.
    """
    if config.data.stream:
        from coloss.cli.runs.streaming import Streamed

        return Streamed(config, folder)
    return InMemory(config, read_rows(config, folder))


class InMemory:
    """Rows that fit into memory.

    Args:
        config: checked.
        rows: joined.
    """

    def __init__(self, config: Config, rows: Rows) -> None:
        """Keep the rows."""
        self.config, self.rows, self.classes = config, rows, rows.classes
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: x.shape[1:] for name, x in rows.x.items()
        }

    def spreads(self) -> dict[str, Spread]:
        """Return mean and variance of members whose networks standardise."""
        train = self.rows.parts == "train"
        return {
            name: Spread.of(x[train])
            for name, x in self.rows.x.items()
            if standardizes(self.config, name)
        }

    def fit_arguments(self, batch_size: int, seed: int) -> dict[str, Any]:
        """Return what `JointModel.fit` takes as data."""
        x, y = self.rows.part("train")
        return {
            "x": x,
            "y": y,
            "batch_size": batch_size,
            "validation_data": self.rows.part("validation"),
            "validation_batch_size": max(batch_size, 1024),
        }

    def sample(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return some training rows, from all over; labelled ones where possible."""
        train = np.flatnonzero(self.rows.parts == "train")
        known = train[is_labelled(self.rows.y[train])]
        among = known if len(known) else train
        chosen = np.linspace(0, len(among) - 1, min(SAMPLE, len(among))).astype(int)
        rows = among[np.unique(chosen)]
        return {name: x[rows] for name, x in self.rows.x.items()}, self.rows.y[rows]

    def pieces(self) -> Iterator[Piece]:
        """Yield validation and test rows."""
        for part in PARTS[1:]:
            rows = np.flatnonzero(self.rows.parts == part)
            if rows.size:
                ids = [self.rows.ids[row] for row in rows]
                yield Piece(part, ids, *self.rows.part(part))

    def describe(self) -> dict[str, Any]:
        """Return what `data.json` holds."""
        told = described(self.config, self.classes, self.rows.parts, self.rows.y)
        for name, x in self.rows.x.items():
            absent = np.isnan(x).reshape(len(x), -1).all(axis=1)
            told["members"][name] |= {
                "width": int(np.prod(x.shape[1:])),
                "missing": by_part(self.rows.parts, absent),
                "present": by_part(self.rows.parts, ~absent),
                "left_out": self.rows.sources[name].left_out,
            }
        return told

    def columns(self) -> dict[str, Any]:
        """Return what new files must have: by member, `names` and `fill`."""
        fills = self.rows.fills
        return {
            name: {
                "names": found.names,
                "fill": fills[name].tolist() if name in fills else None,
            }
            for name, found in self.rows.sources.items()
        }


def is_labelled(y: np.ndarray) -> np.ndarray:
    """Return which labels are there."""
    return ~np.isnan(y) if y.dtype.kind == "f" else y >= 0


def by_part(parts: np.ndarray, which: np.ndarray) -> dict[str, int]:
    """Return how many rows of each part are meant."""
    return {part: int((which & (parts == part)).sum()) for part in PARTS}


def described(
    config: Config, classes: list[str] | None, parts: np.ndarray, y: np.ndarray
) -> dict[str, Any]:
    """Return the part of `data.json` that labels and splits decide."""
    labelled = is_labelled(y)
    counts = None
    if classes is not None:
        found = {p: Counter(y[labelled & (parts == p)].tolist()) for p in PARTS}
        counts = {
            part: {name: found[part][place] for place, name in enumerate(classes)}
            for part in PARTS
        }
    data = config.data
    return {
        "rows": by_part(parts, np.ones(len(parts), bool)),
        "labelled": by_part(parts, labelled),
        "classes": classes,
        "class_counts": counts,
        "id": data.id,
        "label": data.label,
        "members": {
            name: {
                "files": [member.data or data.table],
                "dtype": "float32",
                "standardized": standardizes(config, name),
            }
            for name, member in config.members.items()
        },
    }
