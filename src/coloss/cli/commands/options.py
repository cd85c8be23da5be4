"""Options that several commands have, and how a command ends."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from coloss.checksum import DamagedFileError
from coloss.cli import signals
from coloss.cli.errors import CliError, Exit
from coloss.cli.program_cache import keep_programs

TRACEBACK = "COLOSS_TRACEBACK"
"""Environment variable that shows where an error happened."""
BACKEND = "KERAS_BACKEND"
"""Environment variable of Keras."""
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object a line, for machines.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors only.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
AcceptChanges = Annotated[
    bool,
    typer.Option(
        "--accept-changes",
        help="Go on over other data, networks or settings; what differs is told.",
    ),
]
ConfigFile = Annotated[
    Path, typer.Argument(help="Configuration, as `coloss init` writes it.")
]
RunPath = Annotated[Path, typer.Argument(help="Folder of a run.")]


def examples(*lines: str) -> str:
    """Return the end of a help text."""
    shown = "\n\n".join(f"[green]{line}[/]" for line in lines)
    return f"[bold]Examples[/]\n\n{shown}"


@contextmanager
def answering(
    json: bool = False, quiet: bool = False, any_backend: bool = False
) -> Iterator[Any]:
    """Give a command its output, and turn errors into sentences and exit codes.

    Args:
        json: whether to write JSON lines.
        quiet: whether to write errors only.
        any_backend: whether the command runs whatever the backend is called: the one
            that tells what is wrong with it.
    """
    from coloss.cli.output import Output

    output = Output(json, quiet)
    keep_programs()
    try:
        with signals.answered(signals.unwind), _told_as_asked():
            if not any_backend:
                _check_backend()
            yield output
    except (CliError, DamagedFileError) as error:
        output.error(told := _sentence(error))
        raise typer.Exit(told.code) from None
    except KeyboardInterrupt as error:
        output.error(CliError("interrupted; what was not saved yet is lost."))
        raise typer.Exit(signals.code_of(error)) from None
    except MemoryError as error:
        told = CliError(
            f"the memory is not enough: {error}",
            note="Take a smaller batch_size, or data.stream = true.",
            code=Exit.FAILED,
        )
        output.error(told)
        raise typer.Exit(Exit.FAILED) from None
    except typer.Exit:
        raise
    except Exception as error:
        sentence = _in_a_sentence(error)
        if sentence is None or os.environ.get(TRACEBACK):
            raise
        output.error(sentence)
        raise typer.Exit(sentence.code) from None


def _in_a_sentence(error: Exception) -> CliError | None:
    """Return what an error that nobody foresaw comes to; None: it is for us."""
    if isinstance(error, ModuleNotFoundError):
        backend = os.environ.get(BACKEND)
        if error.name is None or error.name != backend:
            return None
        return CliError(
            f"{BACKEND} asks for {backend!r}, which is not installed.",
            note=f'Install it: pip install "coloss[{backend}]"; or unset {BACKEND}.',
        )
    if isinstance(error, OSError):
        if error.filename is None:
            return None
        return CliError(
            f"'{error.filename}' cannot be read or written: {error.strerror}."
        )
    return CliError(
        f"{type(error).__name__}: {error}",
        note=f"This was not foreseen. {TRACEBACK}=1 shows where it happened.",
        code=Exit.FAILED,
    )


@contextmanager
def _told_as_asked() -> Iterator[None]:
    """Take an error for the wish to end, where a library made it of that."""
    try:
        yield
    except (CliError, typer.Exit):
        raise
    except Exception:
        number = signals.unwound()
        if number is None:
            raise
        raise signals.Ended(number) from None


def _sentence(error: CliError | DamagedFileError) -> CliError:
    if isinstance(error, CliError):
        return error
    return CliError(
        f"{error}.",
        note="Take it from a copy; or move it out of the folder, if that part of the "
        "run is not needed.",
    )


def _check_backend() -> None:
    """Refuse a backend that does not exist; whether it is installed is seen later."""
    from coloss._backend import BACKENDS
    from coloss.names import nearest

    backend = os.environ.get(BACKEND)
    if backend and backend not in BACKENDS:
        raise CliError(
            f"{BACKEND} is {backend!r}{nearest(backend, BACKENDS)} (backends: "
            f"{', '.join(BACKENDS)})."
        )


def refusing_an_impossible_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made, before hours are spent on what it is for.

    Raises:
        CliError: if something else is in its place, or nothing may be written there.
    """
    # As an absolute path: a relative one has no parent in its own first part.
    for parent in (folder, *folder.absolute().parents):
        try:
            there = parent.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise CliError(
                f"the folder '{folder}' cannot be made: {error.strerror}."
            ) from None
        if not parent.is_dir():
            what = "a link to nothing" if stat.S_ISLNK(there.st_mode) else "a file"
            raise CliError(
                f"the folder '{folder}' cannot be made: '{parent}' is {what}.",
                note="Choose another folder: --output.",
            )
        if not os.access(parent, os.W_OK | os.X_OK):
            raise CliError(
                f"the folder '{folder}' cannot be made: nothing may be written to "
                f"'{parent}'.",
                note="Choose another folder: --output.",
            )
        return


def refusing_to_overwrite(path: Path, force: bool) -> None:
    """Refuse to write to a file that exists.

    Raises:
        CliError: if it exists and `force` is not given.
    """
    if path.exists() and not force:
        raise CliError(f"'{path}' exists already.", note="Replace it: --force.")
    if not path.parent.is_dir():
        raise CliError(f"there is no folder '{path.parent}'.")
