"""Options of the command line that take the place of what the file says."""

from __future__ import annotations

from typing import Any

from coloss.cli.config.root import Config


def overridden(config: Config, **tables: dict[str, Any]) -> Config:
    """Return a configuration with some values replaced.

    Args:
        config: checked.
        **tables: values by key, by table; those that are None change nothing.
    """
    for table, values in tables.items():
        given = {key: value for key, value in values.items() if value is not None}
        part = getattr(config, table).model_copy(update=given)
        config = config.model_copy(update={table: part})
    return config
