"""Row groups of a Parquet file, as each member's features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from coloss.data.readers import DataError, LeftOut, choose_columns, features_of
from coloss.data.readers.features import check_finite
from coloss.data.readers.files import opened, reading
from coloss.data.readers.left_out import COUNTS, counts_rows, may_count
from coloss.names import counted

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 512 * 2**20
"""Bytes of a row group; several copies of one are in memory at a time."""


class RowGroups:
    """Reads one row group after the other.

    Args:
        path: the file.
        columns: names or patterns of each member's features; None: all with numbers.
        reserved: columns that are no features, such as the label.

    Attributes:
        names: columns, by member.
        left_out: columns that nobody meant as features, by member.

    Raises:
        DataError: if the file cannot be read, or a row group is too large.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, Sequence[str] | None],
        reserved: Collection[str] = (),
    ) -> None:
        """Look at the schema; read no row."""
        import pyarrow.parquet as pq

        self.path = path
        with reading(path):
            self._file = pq.ParquetFile(opened(path))
            about = self._file.metadata
            groups = [about.row_group(n) for n in range(about.num_row_groups)]
        if not about.num_rows:
            raise DataError("has no rows", path)
        largest = max(group.total_byte_size for group in groups)
        if largest > LARGEST:
            raise DataError(
                f"has a row group of {largest / 2**20:.0f} MiB; for reading in parts "
                f"they must be at most {LARGEST / 2**20:.0f} MiB. Write it again with "
                "row_group_size=..., in pyarrow or pandas",
                path,
            )
        ends = np.cumsum([group.num_rows for group in groups])
        self._ends = [0, *ends.tolist()]
        self._bytes = largest
        schema = self._file.schema_arrow
        apart = set(reserved)
        kept = [name for name in schema.names if name not in apart]
        self.columns: dict[str, list[str]] = {}
        self.left_out: dict[str, list[LeftOut]] = {}
        for name, patterns in columns.items():
            chosen, left_out = choose_columns(schema, kept, patterns, path)
            counters = [LeftOut(c, COUNTS) for c in self._counters(chosen, patterns)]
            gone = {column.name for column in counters}
            self.columns[name] = [column for column in chosen if column not in gone]
            self.left_out[name] = [*left_out, *counters]
        self._names: dict[str, list[str]] = {}
        self.read(0)
        self.names = dict(self._names)

    def leave_out(self, name: str, columns: Collection[str], reason: str) -> None:
        """Read some columns of a member no longer.

        Args:
            name: the member.
            columns: their names.
            reason: why, as the rest of a sentence about a column.
        """
        self.columns[name] = [c for c in self.columns[name] if c not in columns]
        self.left_out[name] += [LeftOut(column, reason) for column in columns]
        self._names = {}
        self.read(0)
        self.names = dict(self._names)

    def _counters(
        self, chosen: Sequence[str], patterns: Sequence[str] | None
    ) -> list[str]:
        """Return the columns that number the rows, as the first ones show."""
        names = [c for c in chosen if may_count(c) and c not in (patterns or ())]
        table = self._read(0, names)
        parts = [(name, features_of(table, self.path, None, [name])) for name in names]
        return [name for name, part in parts if counts_rows(name, part.values)]

    def _read(self, number: int, columns: list[str]) -> pa.Table:
        with reading(self.path):
            # Threads would hold further copies.
            table = self._file.read_row_group(
                number, columns=columns, use_threads=False
            )
            table.validate(full=True)
        return table

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ends) - 1

    @property
    def bytes(self) -> int:
        """Size of the largest one."""
        return self._bytes

    def rows(self, number: int) -> slice:
        """Return which rows of the file a row group holds."""
        return slice(self._ends[number], self._ends[number + 1])

    def read(self, number: int) -> dict[str, np.ndarray]:
        """Return the features in a row group by member, (rows, features)."""
        needed = list(dict.fromkeys(c for cs in self.columns.values() for c in cs))
        table = self._read(number, needed)
        found = {}
        for name, columns in self.columns.items():
            part = features_of(table.select(columns), self.path, None, columns)
            check_finite(part, self.path)
            if self._names.setdefault(name, part.names) != part.names:
                raise DataError(
                    f"members.{name}: lists of row group {number} have another length "
                    "than before",
                    self.path,
                )
            found[name] = part.values
        return found

    def missing(self, name: str, values: np.ndarray, first: int) -> np.ndarray:
        """Return which rows are missing; refuse those that are in part.

        Args:
            name: the member.
            values: (rows, features).
            first: number of the first row in the file.
        """
        gaps = np.isnan(values)
        absent = gaps.all(axis=1)
        partly = np.flatnonzero(gaps.any(axis=1) & ~absent)
        if partly.size:
            raise DataError(
                f"members.{name}: {counted(partly.size, 'row')} with single values "
                f"missing (the first is row {first + partly[0]}). A row is there or "
                "missing as a whole",
                self.path,
            )
        return absent
