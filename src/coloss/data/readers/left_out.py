"""Columns that nobody meant as features: why each is left out, and how that is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coloss.data.readers.errors import some

if TYPE_CHECKING:
    import pyarrow as pa

INDEX = "is an index that pandas wrote"
NAMELESS = "has no name, as an index has none"
NOMINAL = "is nominal: its values name classes"
CATEGORICAL = "is categorical: its values name classes"
TEXT = "holds text"
TWO_WAYS = "holds numbers that can be read in two ways"
EMPTY = "has no value in any row"
COUNTS = "counts the rows"
LABEL = "says the label in every row"

_MENDS = {
    TEXT: "",
    EMPTY: "",
    TWO_WAYS: "write them with a decimal point and without thousands separators",
    LABEL: "if that is what it is for, name it in `columns`",
}
"""What makes a feature of a column; else to name it in `columns`."""
_MARK = b"coloss.left_out"
_NAMELESS = re.compile(r"Unnamed: \d+(\.\d+|_level_\d+)*|__index_level_\d+__|\s*")
_COUNTERS = frozenset(
    (
        *("#", "id", "ids", "idx", "index", "level_0", "nr", "no", "number"),
        *("obs", "observation", "row", "rows", "row_id", "rowid", "row_names"),
        *("rownames", "row_number", "sample_id"),
    )
)
"""Names, in small letters, of columns that often number the rows."""


@dataclass(frozen=True)
class LeftOut:
    """A column that is no feature.

    Attributes:
        name: of the column.
        reason: why, as the rest of a sentence about it: "holds text".
        example: what shows it, such as "'calm' in row 3"; often empty.
    """

    name: str
    reason: str
    example: str = ""


def told_left_out(columns: Iterable[LeftOut]) -> list[str]:
    """Return one sentence for each reason, with the first columns it is true of."""
    by_reason: dict[str, list[LeftOut]] = {}
    for column in columns:
        by_reason.setdefault(column.reason, []).append(column)
    sentences = []
    for reason, those in by_reason.items():
        names = some([column.name for column in those])
        mend = _MENDS.get(reason, "to use it, name it in `columns`")
        example = f" ({those[0].example})" if those[0].example else ""
        each = "" if len(those) == 1 else "each "
        tail = f"; {mend}" if mend else ""
        sentences.append(f"left out {names}: {each}{reason}{example}{tail}")
    return sentences


def marked(field: pa.Field, reason: str, example: str = "") -> pa.Field:
    """Return a field of a schema that says why its column is no feature."""
    text = json.dumps([reason, example])
    return field.with_metadata({**(field.metadata or {}), _MARK: text.encode()})


def mark_of(field: pa.Field) -> LeftOut | None:
    """Return why a column is no feature, if its reader said so."""
    found = (field.metadata or {}).get(_MARK)
    return None if found is None else LeftOut(field.name, *json.loads(found))


def index_columns(schema: pa.Schema) -> dict[str, str]:
    """Return the columns of a schema that are an index, each with the reason.

    pandas writes into a Parquet or Feather file which columns were its index; of other
    writers the names tell.

    Args:
        schema: of a table.
    """
    found = {
        name: NAMELESS if not name.strip() else INDEX
        for name in schema.names
        if _NAMELESS.fullmatch(name)
    }
    return found | {n: INDEX for n in _said_by_pandas(schema) if n in schema.names}


def _said_by_pandas(schema: pa.Schema) -> list[str]:
    try:
        columns = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
    except (KeyError, TypeError, ValueError):
        return []  # Not by pandas, or not as it writes it.
    listed = columns if isinstance(columns, list) else []
    return [name for name in listed if isinstance(name, str)]


def may_count(name: str) -> bool:
    """Return whether a column is called as one that numbers the rows."""
    return name.strip().lower() in _COUNTERS


def counts_rows(name: str, values: np.ndarray) -> bool:
    """Return whether a column numbers the rows: called so, and one more in each.

    Args:
        name: of the column.
        values: (rows, 1).
    """
    if not may_count(name) or values.shape[1:] != (1,):
        return False
    return len(values) > 2 and bool((np.diff(values[:, 0]) == 1).all())
