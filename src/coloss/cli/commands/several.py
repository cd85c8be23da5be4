"""A command that runs in several processes, which end together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from coloss.cli.errors import CliError
from coloss.cli.launcher import ASKED, PROCESS, PROCESSES, launch
from coloss.cli.output import Output

OPTION = "--processes"
START = "from coloss.cli import main; main()"


def is_one_of_several() -> bool:
    """Return whether a launcher started this process beside others."""
    number = os.environ.get(PROCESSES, "1")
    return number.isdigit() and int(number) > 1


def is_helper() -> bool:
    """Return whether another process says and writes what there is to say."""
    return is_one_of_several() and os.environ.get(PROCESS, "0") != "0"


def launch_again(processes: int | None, output: Output) -> int:
    """Run this command in several processes; return the exit code.

    Args:
        processes: how many.
        output: told when one dies.

    Raises:
        CliError: on a backend for which Keras joins no processes.
    """
    backend = os.environ.get("KERAS_BACKEND", "jax")
    if backend != "jax":
        raise CliError(
            f"{OPTION}: Keras joins processes on JAX only, and the backend is "
            f"{backend}.",
            note="Set KERAS_BACKEND=jax, or leave it out.",
        )
    command = [sys.executable, "-c", START, *sys.argv[1:]]
    return launch(command, processes or 1, output.note)


def join(seed: int) -> None:
    """Join the other processes, where there are any.

    Args:
        seed: of weights and the order of rows.
    """
    if is_one_of_several():
        from coloss import distributed

        distributed.initialize(seed=seed)


@contextmanager
def of_several() -> Iterator[None]:
    """Let a command that fails end its process at once: the others wait for it."""
    try:
        yield
    except typer.Exit as ended:
        if is_one_of_several() and ended.exit_code not in ASKED:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.exit_code)
        raise
