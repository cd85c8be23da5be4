"""Who writes the page of a result: a room above those that have results.

A result offers `report(path)`, and knows no report. The package itself, above both,
says here who writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Writer = Callable[[Any, str | Path], object]

_writers: dict[str, Writer] = {}


def register(kind: str, writer: Writer) -> None:
    """Let `writer(result, path)` write the pages of a kind of result."""
    _writers[kind] = writer


def write(kind: str, result: Any, path: str | Path) -> None:
    """Write the page of a result.

    Args:
        kind: of the result, such as "study".
        result: what the page shows.
        path: of the HTML file.
    """
    _writers[kind](result, path)
