"""What a page is made of: plain data, without any HTML but MathML and SVG.

A template draws each by its `kind` and escapes all its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

_LONGEST, _MANY = 10, 7
MOST_ROWS = 60
"""Rows of a table behind a figure; of longer ones, evenly spaced rows are shown."""


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows.

    Attributes:
        title: above it.
        columns: names.
        rows: cells.
        note: below it.
        wide: whether it takes the whole width.
    """

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    wide: bool = True


@dataclass(frozen=True)
class Plot:
    """A plotly figure, as JSON, with the table behind it.

    Attributes:
        title: above it.
        alt: what it shows, in a sentence.
        figure: JSON of data and layout.
        table: the same numbers.
        note: below it.
        log: whether the axis of values can be switched to logarithms.
    """

    kind: ClassVar[str] = "plot"
    title: str
    alt: str
    figure: str
    table: Table
    note: str = ""
    log: bool = False


@dataclass(frozen=True)
class Picture:
    """An SVG, with the table behind it."""

    kind: ClassVar[str] = "picture"
    title: str
    svg: str
    table: Table
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a heat map: its text, and how full its color is (-1 to 1)."""

    text: str
    level: float


@dataclass(frozen=True)
class Heat:
    """A heat map that is its own table.

    Attributes:
        title: above it.
        corner: names what the rows are, and what the columns are.
        columns: names; long ones are shown as numbers that the rows have, too.
        rows: (name, cells).
        note: below it.
        wide: whether it takes the whole width.
    """

    kind: ClassVar[str] = "heat"
    title: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    note: str = ""
    wide: bool = False

    @property
    def numbered(self) -> bool:
        """Whether columns are too long to stand beside each other."""
        same = list(self.columns) == [name for name, _ in self.rows]
        longest = max(map(len, self.columns), default=0)
        return same and (longest > _LONGEST or self.compact)

    @property
    def compact(self) -> bool:
        """Whether there are too many columns for wide cells."""
        return len(self.columns) > _MANY


@dataclass(frozen=True)
class Formula:
    """An objective: MathML of its summands, and text to copy."""

    kind: ClassVar[str] = "formula"
    parts: Sequence[str]
    text: str


@dataclass(frozen=True)
class Words:
    """Sentences under a heading."""

    kind: ClassVar[str] = "words"
    title: str
    items: Sequence[str]
    tone: str = ""


@dataclass(frozen=True)
class Facts:
    """Short names with values."""

    kind: ClassVar[str] = "facts"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """Text as it stands in a file, folded away."""

    kind: ClassVar[str] = "listing"
    title: str
    text: str


@dataclass(frozen=True)
class Absent:
    """What is not here, and what would give it."""

    kind: ClassVar[str] = "absent"
    text: str


Block = Table | Plot | Picture | Heat | Formula | Words | Facts | Listing | Absent


@dataclass(frozen=True)
class Panel:
    """The blocks of one run in a section; `label` names it where there are several."""

    label: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: of its anchor.
        title: heading.
        lead: one sentence that says how to read it.
        panels: one a run.
    """

    name: str
    title: str
    lead: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: of the page.
        line: below it: what this is.
        tiles: (figure, what it is): the answer in numbers.
        sections: in order.
        notices: what a reader must know first: an interrupted run.
        absent: (section, what would give it) of sections that are left out.
    """

    title: str
    line: str
    tiles: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    notices: Sequence[str] = field(default_factory=list)
    absent: Sequence[tuple[str, str]] = field(default_factory=list)


def number(value: float | str | None, digits: int = 4) -> str:
    """Return a number in few digits; nothing where there is none."""
    if value is None or isinstance(value, str):
        return value or "\u2013"
    found = float(value)
    if not math.isfinite(found):
        return "\u2013" if math.isnan(found) else str(found)
    if found.is_integer() and abs(found) < 1e15:
        return str(int(found)).replace("-", "\u2212")  # A count, to the last digit.
    return f"{found:.{digits}g}".replace("-", "\u2212")


def thinned(rows: pd.DataFrame, most: int) -> tuple[pd.DataFrame, str]:
    """Return evenly spaced rows, the last among them, and what to say of it.

    Args:
        rows: any number.
        most: how many to keep at the most.
    """
    step = -(-len(rows) // most)
    if step <= 1:
        return rows, ""
    kept = rows.iloc[::-1].iloc[::step].iloc[::-1]
    return kept, f"Every {step} rows of {len(rows)}."


def wide_table(
    title: str, frame: pd.DataFrame, index: str, columns: Iterable[str], values: str
) -> Table:
    """Return a tidy frame as a table: one row per `index`, one column per name.

    Args:
        title: of the table.
        frame: one value a row.
        index: the column that makes the rows, such as "epoch".
        columns: the columns whose values name the table's columns.
        values: the column of numbers.
    """
    names = frame[list(columns)].astype(str).agg(", ".join, axis=1)
    table = frame.assign(_name=names).pivot_table(
        index=index, columns="_name", values=values, sort=False
    )
    table = table.sort_index()
    shown, note = thinned(table, MOST_ROWS)
    rows = [
        [number(key), *(number(value) for value in row)]
        for key, *row in shown.itertuples(name=None)
    ]
    return Table(title, [index, *map(str, table.columns)], rows, note)
