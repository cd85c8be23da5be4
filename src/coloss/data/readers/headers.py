"""Whether a table's first line names its columns, or is a row like the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from coloss.data.readers.text_numbers import as_number

_ROW_NAMES = frozenset(("", "id", "ids", "index", "name", "key", "file", "filename"))
"""What stands above row names, where all other columns are called by numbers."""


def seems_data(rows: Sequence[Sequence[str]], missing: Collection[str]) -> bool:
    """Return whether the first row holds values, as the others do.

    It does where each column that has numbers below has one in the first row as well,
    unless those are names such as `0, 1, 2` or the wavelengths `400, 410, 420`, which
    rise from column to column as no other row does.

    Args:
        rows: fields of the first lines.
        missing: what stands for no value.
    """
    first, others = rows[0], rows[1:]
    columns = [c for c in range(len(first)) if _has_numbers(others, c, missing)]
    if not columns:
        return False
    values = [as_number(first[c]) for c in columns if first[c].strip() not in missing]
    numbers = [value for value in values if value is not None]
    if not numbers or len(numbers) < len(values):
        return False
    texts = [first[c] for c in range(len(first)) if c not in columns]
    return not _are_names(numbers, texts, [_numbers(row, columns) for row in others])


def _has_numbers(
    rows: Sequence[Sequence[str]], column: int, missing: Collection[str]
) -> bool:
    """Return whether a column holds numbers: some, and nothing else."""
    fields = [row[column].strip() for row in rows if column < len(row)]
    known = [field for field in fields if field not in missing]
    return bool(known) and all(as_number(field) is not None for field in known)


def _numbers(row: Sequence[str], columns: Sequence[int]) -> list[float | None]:
    return [as_number(row[c]) if c < len(row) else None for c in columns]


def _are_names(
    numbers: Sequence[float], texts: Sequence[str], others: list[list[float | None]]
) -> bool:
    """Return whether numbers in the first row are the columns' names."""
    steps = {round(b - a, 9) for a, b in pairwise(numbers)}
    above_row_names = all(text.strip().lower() in _ROW_NAMES for text in texts)
    if len(numbers) < 3:  # `,0` or `id,0,1`, as pandas calls columns without names.
        counted = list(numbers) == list(range(len(numbers)))
        return bool(texts) and above_row_names and counted
    if any(_rises(row) for row in others):
        return False
    even = len(steps) == 1 and min(steps) > 0
    return even or (len(numbers) >= 8 and all(step > 0 for step in steps))


def _rises(row: Sequence[float | None]) -> bool:
    known = [value for value in row if value is not None]
    return len(known) > 1 and all(b > a for a, b in pairwise(known))
