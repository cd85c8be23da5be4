"""`coloss validate`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coloss.cli.commands.options import (
    ConfigFile,
    Json,
    Quiet,
    answering,
    examples,
)

if TYPE_CHECKING:
    from coloss.cli.config import Config
    from coloss.cli.runs.source_base import Source
    from coloss.objective.explanation import Explanation

HELP = (
    "Check a configuration, and say what its objective does to each network.\n\n"
    "Nothing is trained and no network is built. With --data the files are read and "
    "joined, too.\n\n"
    + examples("coloss validate config.toml", "coloss validate config.toml --data")
)


def validate(
    config: ConfigFile,
    data: Annotated[bool, typer.Option("--data", help="Read all files.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a file; the help is above."""
    with answering(json, quiet) as out:
        from coloss.cli.config import load
        from coloss.cli.runs.tell import tell_data, tell_rates

        settings = load(config)
        check_files(settings, config.parent)
        found = explained(settings)
        source = _read(settings, config.parent) if data else None
        told = {} if source is None else source.describe()
        out.event("valid", objective=found.objective, **told)
        out.say(str(found))
        if source is None:
            tell_rates(settings, out)
        else:
            tell_data(source.config, told, out)
        out.say(f"{config} is valid.")


def check_files(config: Config, folder: Path) -> None:
    """Refuse a configuration that names files which are not there.

    Raises:
        CliError: naming each.
    """
    from coloss.cli.errors import CliError

    named = {"data.labels": config.data.labels, "data.table": config.data.table}
    for name, member in config.members.items():
        for key in ("data", "ids", "model", "outputs"):
            named[f"members.{name}.{key}"] = getattr(member, key)
    lost = [
        f"{key}: there is no file '{folder / value}'."
        for key, value in named.items()
        if value is not None and not (folder / value).is_file()
    ]
    if lost:
        raise CliError(*lost, note=f"Paths are relative to '{folder}'.")


def explained(config: Config) -> Explanation:
    """Return what the objective does, from its form alone."""
    from coloss.cli.config.coefficients import as_schedule
    from coloss.objective import Objective
    from coloss.weighting import value_at

    values = {
        name: value_at(as_schedule(given), 0, name)
        for name, given in config.coefficients.items()
    }
    found = Objective(config.objective_text).explain(
        members=list(config.members),
        coefficients=values,
        frozen=[
            name
            for name, member in config.members.items()
            if member.frozen or name in config.recorded
        ],
        regression=[] if config.is_classification else list(config.members),
    )
    return dataclasses.replace(found, recorded=list(config.recorded))


def _read(config: Config, folder: Path) -> Source:
    from coloss.cli.errors import CliError
    from coloss.cli.runs.open_source import open_source
    from coloss.data.readers import DataError

    try:
        return open_source(config, folder)
    except DataError as error:
        raise CliError(str(error)) from None
