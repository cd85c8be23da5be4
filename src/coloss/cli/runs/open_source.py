"""The rows of a configuration: read at once, or while training."""

from __future__ import annotations

from pathlib import Path

from coloss.cli.config import Config
from coloss.cli.runs.in_memory import InMemory
from coloss.cli.runs.rows import read_rows
from coloss.cli.runs.settle import settled
from coloss.cli.runs.source_base import Source
from coloss.cli.runs.streaming import Streamed


def open_source(config: Config, folder: Path) -> Source:
    """Return the rows of a configuration, read or ready to be read.

    Raises:
        DataError: if a file cannot be used.
    """
    config = settled(config, folder)
    if config.data.stream:
        return Streamed(config, folder)
    return InMemory(config, read_rows(config, folder))
