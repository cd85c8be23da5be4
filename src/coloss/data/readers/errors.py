"""What is wrong with a data file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class DataError(ValueError):
    """A file that cannot be used: names the file, what was found, and the mend.

    Attributes:
        path: the file; None where several are meant.
    """

    def __init__(self, message: str, path: str | Path | None = None) -> None:
        """Put the file's name in front of the message."""
        self.path = path
        super().__init__(message if path is None else f"{path}: {message}")


def some(values: Iterable[object], most: int = 3) -> str:
    """Return the first few values, and how many more there are."""
    listed = list(values)
    told = ", ".join(repr(value) for value in listed[:most])
    more = len(listed) - most
    return told if more <= 0 else f"{told} and {more} more"
