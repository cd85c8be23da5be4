"""The commands, as typer sees them. Imports no Keras: `--help` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import coloss

app = typer.Typer(
    help="Train several Keras networks together, so that one learns from the others.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(coloss.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for model, plot and table.")
    ] = Path("demo"),
    seeds: Annotated[
        int, typer.Option(min=3, max=1000, help="Paired runs of each arm.")
    ] = 20,
    epochs: Annotated[int, typer.Option(min=8, help="Epochs of each run.")] = 60,
) -> None:
    """Four ways to train three networks on real digits: which helps the main one?

    Example: coloss demo --seeds 40
    """
    from coloss.cli.demo import run_demo

    run_demo(output, seeds, epochs)
