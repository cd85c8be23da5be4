"""A Parquet table that is read while training, one part after the other.

One pass at the start measures every feature and finds missing rows; each epoch reads
the file again, in another order. Only some row groups are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coloss.cli.config import Config
from coloss.cli.runs.labels import codes_of, read_labels
from coloss.cli.runs.rows import parts_of
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
from coloss.data.readers import DataError, Features, label_like
from coloss.data.readers.errors import some
from coloss.data.readers.left_out import LABEL
from coloss.data.row_groups import RowGroups
from coloss.data.splitting import PARTS
from coloss.data.standardizing import RunningStandardizer, Standardizer

if TYPE_CHECKING:
    from coloss.joint.inputs.missing_rows import Complete

PIECE = 4096
"""Rows that are predicted at once."""


class Streamed:
    """Rows of one Parquet file that need not fit into memory.

    Args:
        config: checked, with `data.table`.
        folder: that paths are relative to.

    Raises:
        DataError: if the file, or a row of it, cannot be used.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        """Read labels and splits, and pass over all features once."""
        for name, member in config.members.items():
            if member.fill != "refuse":
                raise DataError(f"members.{name}.fill is not for data.stream")
        self.config = config
        labels = read_labels(config, folder)
        self.y, self.classes = codes_of(config, labels)
        self.ids, self.parts = labels.ids, parts_of(config, labels)
        self._unlabeled = labels.unlabeled
        data = config.data
        self.groups = RowGroups(
            folder / str(data.table),
            {name: member.columns for name, member in config.sources.items()},
            [c for c in (data.id, data.label, data.split, data.group) if c is not None],
        )
        for name, copies in self._copies(labels.values).items():
            self.groups.leave_out(name, copies, LABEL)
        self.shapes = {n: (len(c),) for n, c in self.groups.names.items()}
        self._measures, self._missing = self._pass()
        for name, missing in self._missing.items():
            if missing[self.parts == "train"].all():
                raise DataError(f"members.{name}: no training row has its features")

    def _copies(self, labels: list[str | None]) -> dict[str, list[str]]:
        """Return the columns that say the label in every row, by member.

        What does so in all rows does in the first row group; only such columns are
        read from the others.
        """
        found = self._saying(labels, [0], self.groups.names)
        if any(found.values()) and len(self.groups) > 1:
            found = self._saying(labels, range(len(self.groups)), found)
        for name, copies in found.items():
            if copies and len(copies) == len(self.groups.names[name]):
                raise DataError(
                    f"members.{name}: its only features say the label in every row: "
                    f"{some(copies)}"
                )
            inside = [c for c in copies if c not in self.groups.columns[name]]
            if inside:
                raise DataError(
                    f"members.{name}: {some(inside)} in a column of lists says the "
                    "label in every row; leave that column out, or read the table "
                    "without data.stream"
                )
        return {name: copies for name, copies in found.items() if copies}

    def _saying(
        self,
        labels: list[str | None],
        numbers: Iterable[int],
        among: Mapping[str, list[str]],
    ) -> dict[str, list[str]]:
        """Return which of some columns say the label in some row groups."""
        known: list[str | None] = []
        parts: dict[str, list[np.ndarray]] = {name: [] for name in among}
        for number in numbers:
            known += labels[self.groups.rows(number)]
            for name, values in self.groups.read(number).items():
                places = [self.groups.names[name].index(c) for c in among[name]]
                parts[name].append(values[:, places])
        found = {}
        for name, columns in among.items():
            named = self.config.members[name].columns or ()
            features = Features(None, np.concatenate(parts[name]), list(columns))
            found[name] = [c for c in label_like(features, known) if c not in named]
        return found

    def _pass(self) -> tuple[dict[str, RunningStandardizer], dict[str, np.ndarray]]:
        measures = {
            n: RunningStandardizer(shape[0]) for n, shape in self.shapes.items()
        }
        missing = {n: np.zeros(len(self.ids), bool) for n in self.shapes}
        for number in range(len(self.groups)):
            rows = self.groups.rows(number)
            train = self.parts[rows] == "train"
            for name, values in self.groups.read(number).items():
                absent = self.groups.missing(name, values, rows.start)
                missing[name][rows] = absent
                measures[name].add(values[train & ~absent])
        return measures, missing

    def standardizers(self) -> dict[str, Standardizer]:
        """Return those of members whose networks standardize."""
        return {
            name: measure.result()
            for name, measure in self._measures.items()
            if standardizes(self.config, name)
        }

    def fit_arguments(self, batch_size: int, seed: int) -> dict[str, Any]:
        """Return what `JointModel.fit` takes as data."""
        from coloss.data.streamed_batches import StreamedBatches

        larger = max(batch_size, 1024)
        train, validation = self.parts == "train", self.parts == "validation"
        return {
            "x": StreamedBatches(
                self.groups, self.y, train, batch_size, seed, self.complete
            ),
            "validation_data": StreamedBatches(
                self.groups, self.y, validation, larger, None
            ),
            # Keras would ask for batches from all over the file, each of which is read
            # for it; the order is random as it is.
            "shuffle": False,
        }

    @property
    def complete(self) -> Complete:
        """Members without a missing training row; labels are looked at in each step."""
        from coloss.joint.inputs.missing_rows import Complete

        train = self.parts == "train"
        return Complete(
            frozenset(n for n, m in self._missing.items() if not m[train].any())
        )

    def sample(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return some training rows; labeled ones where possible."""
        train = self.parts == "train"
        known = train & is_labeled(self.y)
        among = known if known.any() else train
        # Of the row groups in which most of them are: few are read.
        counts = [among[self.groups.rows(n)].sum() for n in range(len(self.groups))]
        number = int(np.argmax(counts))
        rows = self.groups.rows(number)
        found = np.flatnonzero(among[rows])
        chosen = np.linspace(0, len(found) - 1, min(SAMPLE, len(found))).astype(int)
        picked = found[np.unique(chosen)]
        x = {name: v[picked] for name, v in self.groups.read(number).items()}
        return x, self.y[rows][picked]

    def pieces(self) -> Iterator[Piece]:
        """Yield validation and test rows, always as many: each number compiles."""
        held: dict[str, Piece] = {}
        for number in range(len(self.groups)):
            rows = self.groups.rows(number)
            x = None
            for part in PARTS[1:]:
                found = np.flatnonzero(self.parts[rows] == part)
                if found.size:
                    x = x or self.groups.read(number)
                    ids = [self.ids[rows.start + row] for row in found]
                    chosen = {name: values[found] for name, values in x.items()}
                    piece = Piece(part, ids, chosen, self.y[rows][found])
                    held[part] = held[part].joined(piece) if part in held else piece
                while part in held and len(held[part].ids) > PIECE:
                    yield held[part].rows(slice(PIECE))
                    held[part] = held[part].rows(slice(PIECE, None))
        yield from held.values()

    def describe(self) -> dict[str, Any]:
        """Return what `data.json` holds."""
        told = described(self.config, self.classes, self.parts, self.y, self._unlabeled)
        for name, absent in self._missing.items():
            rows = described_member(self.classes, self.parts, self.y, absent)
            told["members"][name] |= rows | {
                "width": self.shapes[name][0],
                "dropped": 0,
                "left_out": as_facts(self.groups.left_out[name]),
                "empty": [],
            }
        describe_readers(self.config, told, self.parts, self.y, self._missing)
        return told

    def columns(self) -> dict[str, Any]:
        """Return what new files must have: by member, `names` and `fill`."""
        return {
            name: {"names": names, "fill": None}
            for name, names in self.groups.names.items()
        }
