"""Row groups of a Parquet file, as each member's features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coloss.cli.config import Config
from coloss.data.readers import DataError, choose_columns, features_of
from coloss.data.readers.features import check_finite

LARGEST = 512 * 2**20
"""Bytes of a row group; several copies of one are in memory at a time."""


class Measure:
    """Mean and variance of features, over rows that come in portions.

    Portions are combined as in Chan, Golub and LeVeque 1979, "Updating formulae and a
    pairwise algorithm for computing sample variances", which stays exact where the
    mean is large against the spread.

    Args:
        width: number of features.
    """

    def __init__(self, width: int) -> None:
        """Start without a row."""
        self._rows = 0
        self._mean, self._squares = np.zeros(width), np.zeros(width)

    def add(self, values: np.ndarray) -> None:
        """Take rows (n, width) in; none is missing."""
        if not len(values):
            return
        rows = len(values)
        mean = values.mean(axis=0, dtype="float64")
        squares = ((values - mean) ** 2).sum(axis=0)
        total = self._rows + rows
        apart = mean - self._mean
        self._squares += squares + apart**2 * (self._rows * rows / total)
        self._mean += apart * (rows / total)
        self._rows = total

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance; the variance is 1 where a feature is constant."""
        variance = self._squares / max(self._rows, 1)
        constant = np.sqrt(variance) <= 1e-12 * np.abs(self._mean)
        return self._mean, np.where(constant, 1.0, variance)


class RowGroups:
    """Reads one row group after the other.

    Args:
        config: checked, with `data.table`.
        path: the file.

    Attributes:
        names: columns, by member.
        left_out: columns of text among them, by member.

    Raises:
        DataError: if the file cannot be read, or a row group is too large.
    """

    def __init__(self, config: Config, path: Path) -> None:
        """Look at the schema; read no row."""
        import pyarrow.parquet as pq

        self.path = path
        self._file = pq.ParquetFile(path)
        about = self._file.metadata
        groups = [about.row_group(n) for n in range(about.num_row_groups)]
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
        data = config.data
        schema = self._file.schema_arrow
        reserved = {data.id, data.label, data.split, data.group}
        kept = [name for name in schema.names if name not in reserved]
        self.columns: dict[str, list[str]] = {}
        self.left_out: dict[str, list[str]] = {}
        for name, member in config.members.items():
            chosen, text = choose_columns(schema, kept, member.columns, path)
            self.columns[name], self.left_out[name] = chosen, text
        self._names: dict[str, list[str]] = {}
        self.read(0)
        self.names = dict(self._names)

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
        # Threads would hold further copies.
        table = self._file.read_row_group(number, columns=needed, use_threads=False)
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
                f"members.{name}: {partly.size} rows lack single values (the first is "
                f"row {first + partly[0]}). A row is there or missing as a whole",
                self.path,
            )
        return absent
