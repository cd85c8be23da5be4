"""`coloss report`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from coloss.cli.commands.options import (
    TRACEBACK,
    Force,
    answering,
    examples,
    refusing_to_overwrite,
)

HELP = (
    "Draw the page of a run again, or one page that compares several runs.\n\n"
    + examples(
        "coloss report run",
        "coloss report runs/first runs/second --output comparison.html",
    )
)


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Page; report.html of the one run."),
    ] = None,
    force: Force = False,
) -> None:
    """Draw a page; the help is above."""
    with answering() as out:
        from coloss.checksum import DamagedFileError
        from coloss.cli.errors import CliError
        from coloss.run_folder import RunFolder

        try:
            folders = [RunFolder.opened(run) for run in runs]
        except FileNotFoundError as error:
            raise CliError(str(error)) from None
        from coloss.cli.runs.unfinished import tell_unfinished

        for folder in folders:
            tell_unfinished(folder, out)
        if output is not None:
            refusing_to_overwrite(output, force)
        elif len(folders) > 1:
            raise CliError(
                "several runs make a page of their own; say where: --output."
            )
        from coloss.report import write_run

        try:
            page = write_run([folder.path for folder in folders], output)
        except FileExistsError as error:
            told = f"'{error.filename}' {error.strerror}."
            raise CliError(told, note="Write another file: --output.") from None
        except DamagedFileError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # Whoever writes the checksums of a run, too, may write anything.
            if os.environ.get(TRACEBACK):
                raise
            raise CliError(
                "there is no page of this: a file of the run holds what no version of "
                f"coloss writes ({type(error).__name__}: {error}).",
                note=f"{TRACEBACK}=1 shows where it happened.",
            ) from None
        out.say(str(page))
