"""Tables as CSV that no spreadsheet takes for formulas.

A spreadsheet runs a cell of text that begins with `=`, `+`, `-` or `@`, and ids and
class names come from files of others. Such text gets an apostrophe in front, which
spreadsheets take as the sign of text. Numbers stay as they are, in columns of text too.
Parquet needs none of this.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from coloss.writing import write_bytes

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""How a formula begins: also in full width, and behind what spreadsheets skip."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def write_table(frame: pd.DataFrame, path: Path) -> int:
    """Write a table, whole or not at all, as its suffix says.

    Args:
        frame: without an index of its own.
        path: `.parquet`, or else CSV.

    Returns:
        How many cells got an apostrophe.
    """
    if path.suffix == ".parquet":
        write_bytes(path, frame.to_parquet(index=False))
        return 0
    safe, changed = without_formulas(frame)
    # What parts cells elsewhere, or rows, is harmless in quotes: some countries' files
    # have `;` between cells, and pandas leaves a lone carriage return as it is.
    cells = [*safe.columns, *safe.astype(object).to_numpy().ravel()]
    parted = any(isinstance(one, str) and re.search(r"[;\t\r]", one) for one in cells)
    quoting = csv.QUOTE_NONNUMERIC if parted else csv.QUOTE_MINIMAL
    write_bytes(path, safe.to_csv(index=False, quoting=quoting).encode("utf-8"))
    return changed


def without_formulas(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return a table without formulas, its head included, and how many there were."""
    changed = 0

    def mark(value: object) -> object:
        nonlocal changed
        if not _is_formula(value):
            return value
        changed += 1
        return f"'{value}"

    safe = frame.copy()
    for place, column in enumerate(frame.columns):
        if frame[column].dtype.kind not in "biufc":
            safe.isetitem(place, frame[column].astype(object).map(mark))
    safe.columns = [mark(name) for name in frame.columns]
    return safe, changed


def _is_formula(value: object) -> TypeGuard[str]:
    return (
        isinstance(value, str)
        and bool(_FORMULA.match(value))
        and not _NUMBER.fullmatch(value)
    )
