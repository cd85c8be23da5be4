"""`coloss study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coloss.cli.commands.options import (
    AcceptChanges,
    ConfigFile,
    Force,
    Json,
    Quiet,
    answering,
    examples,
    refusing_an_impossible_folder,
)

HELP = (
    "Did it help? Train every arm of the study once a seed, in pairs, and compare."
    "\n\n"
    "Finished runs are kept in study.sqlite: the same command goes on where it was "
    "interrupted.\n\n"
    + examples(
        "coloss study config.toml",
        "coloss study config.toml --seeds 30 --output studies/first",
    )
)


def study(
    config: ConfigFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder; output.folder with -study."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=2, help="For study.seeds.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="For study.epochs.")] = None,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    accept_changes: AcceptChanges = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a study; the help is above."""
    with answering(json, quiet) as out:
        from coloss.cli.config import load
        from coloss.cli.config.overrides import overridden
        from coloss.cli.errors import CliError

        settings = load(config)
        if settings.study is None:
            raise CliError(
                f"{config}: has no table [study]; it needs at least two arms, such as "
                f'[study.arms] with alone = "{settings.main}" and taught = "...".'
            )
        settings = overridden(settings, study={"seeds": seeds, "epochs": epochs})
        folder = output or config.parent / f"{settings.output.folder}-study"
        refusing_an_impossible_folder(folder)
        from coloss.cli.runs.study import run_study

        run_study(
            settings,
            config,
            folder,
            out,
            force=force,
            report=report,
            accept_changes=accept_changes,
        )
