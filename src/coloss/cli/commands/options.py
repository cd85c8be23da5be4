"""Options that several commands have, and how a command ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from coloss.cli.errors import CliError, Exit

TRACEBACK = "COLOSS_TRACEBACK"
"""Environment variable that shows where an error happened."""
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object a line, for machines.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors only.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
ConfigFile = Annotated[
    Path, typer.Argument(help="Configuration, as `coloss init` writes it.")
]
RunPath = Annotated[Path, typer.Argument(help="Folder of a run.")]


def examples(*lines: str) -> str:
    """Return the end of a help text."""
    shown = "\n\n".join(f"[green]{line}[/]" for line in lines)
    return f"[bold]Examples[/]\n\n{shown}"


@contextmanager
def answering(json: bool = False, quiet: bool = False) -> Iterator[Any]:
    """Give a command its output, and turn errors into sentences and exit codes.

    Args:
        json: whether to write JSON lines.
        quiet: whether to write errors only.
    """
    from coloss.cli.output import Output

    output = Output(json, quiet)
    try:
        yield output
    except CliError as error:
        output.error(error)
        raise typer.Exit(error.code) from None
    except KeyboardInterrupt:
        output.error(CliError("interrupted; what was not saved yet is lost."))
        raise typer.Exit(Exit.INTERRUPTED) from None
    except MemoryError as error:
        told = CliError(
            f"the memory is not enough: {error}",
            note="Take a smaller batch_size, or data.stream = true.",
            code=Exit.FAILED,
        )
        output.error(told)
        raise typer.Exit(Exit.FAILED) from None
    except (typer.Exit, ModuleNotFoundError):
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        told = CliError(
            f"{type(error).__name__}: {error}",
            note=f"This was not foreseen. {TRACEBACK}=1 shows where it happened.",
        )
        output.error(told)
        raise typer.Exit(Exit.FAILED) from None


def refusing_to_overwrite(path: Path, force: bool) -> None:
    """Refuse to write to a file that exists.

    Raises:
        CliError: if it exists and `force` is not given.
    """
    if path.exists() and not force:
        raise CliError(f"'{path}' exists already.", note="Replace it: --force.")
    if not path.parent.is_dir():
        raise CliError(f"there is no folder '{path.parent}'.")
