"""`coloss evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coloss.cli.commands.options import (
    Json,
    Quiet,
    RunPath,
    answering,
    examples,
)

HELP = (
    "Evaluate every network of a run on its validation and test rows.\n\n"
    "The rows are those of the run's configuration, read again.\n\n"
    + examples("coloss evaluate run", "coloss evaluate run --part test --json")
)


def evaluate(
    run: RunPath,
    part: Annotated[
        str | None, typer.Option(help="validation or test; both when left out.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Configuration with other data, for the same networks."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a run; the help is above."""
    with answering(json, quiet) as out:
        from coloss.cli.errors import CliError
        from coloss.cli.runs.reopen import open_run
        from coloss.cli.runs.unfinished import tell_unfinished
        from coloss.data.splitting import PARTS

        if part is not None and part not in PARTS[1:]:
            raise CliError(f"--part must be validation or test; found {part!r}.")
        folder, settings = open_run(run)
        tell_unfinished(folder, out)
        from coloss.cli.runs.evaluate import evaluate_run

        figures = evaluate_run(folder, settings, config, part)
        out.event("evaluation", **figures)
        for name, found in figures.items():
            out.table(
                name, ["entry", "value"], [[k, f"{v:.4f}"] for k, v in found.items()]
            )
