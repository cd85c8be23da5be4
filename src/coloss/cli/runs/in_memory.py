"""Rows that fit into memory, as what a training takes them from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from coloss.cli.config import Config
from coloss.cli.runs.recorded import described_recorded
from coloss.cli.runs.rows import Rows
from coloss.cli.runs.source_base import (
    SAMPLE,
    Piece,
    as_facts,
    describe_readers,
    described,
    described_member,
    is_labeled,
    standardizes,
)
from coloss.data.splitting import PARTS
from coloss.data.standardizing import Standardizer


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

    def standardizers(self) -> dict[str, Standardizer]:
        """Return those of members whose networks standardize."""
        train = self.rows.parts == "train"
        return {
            name: Standardizer.of_last_axis(x[train])
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
        """Return some training rows, from all over; labeled ones where possible."""
        train = np.flatnonzero(self.rows.parts == "train")
        known = train[is_labeled(self.rows.y[train])]
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
        told = described(
            self.config,
            self.classes,
            self.rows.parts,
            self.rows.y,
            self.rows.unlabeled,
        )
        missing: dict[str, np.ndarray] = {}
        for name, x in self.rows.x.items():
            absent = np.isnan(x).reshape(len(x), -1).all(axis=1)
            rows = described_member(self.classes, self.rows.parts, self.rows.y, absent)
            told["members"][name] |= rows | {
                "width": int(np.prod(x.shape[1:])),
                "dropped": self.rows.dropped.get(name, 0),
                "left_out": as_facts(self.rows.sources[name].left_out),
                "empty": self.rows.empty.get(name, []),
            }
            if name in self.config.recorded:
                told["members"][name]["recorded"] = described_recorded(
                    self.config.recorded[name],
                    self.rows.sources[name].names,
                    self.classes,
                )
            missing[name] = absent
        describe_readers(self.config, told, self.rows.parts, self.rows.y, missing)
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
