"""The commands, as typer sees them. Imports no Keras: `--help` answers at once."""

from __future__ import annotations

from typing import Annotated

import typer

from coloss._version import __version__
from coloss.cli.commands import (
    demo,
    doctor,
    evaluate,
    explain,
    export,
    init,
    predict,
    report,
    schema,
    study,
    train,
    validate,
)
from coloss.cli.commands.options import examples

HELP = (
    "Train several Keras networks together, so that one learns from the others.\n\n"
    + examples(
        "coloss init config.toml acoustic=a.csv text=t.npz --labels labels.csv "
        "--id id --label emotion",
        "coloss train config.toml",
        "coloss predict run acoustic=new.csv --output predictions.csv",
    )
    + "\n\n[bold]Exit codes[/]\n\n"
    "0 done; 1 training or a self-test failed; 2 wrong use, configuration or data, and "
    "nothing was written; 130 interrupted (143 by SIGTERM), and what was trained is "
    "saved."
)

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")


def _version(shown: bool) -> None:
    if shown:
        typer.echo(__version__)
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


for _module in (
    init,
    validate,
    schema,
    train,
    evaluate,
    explain,
    study,
    report,
    predict,
    export,
    demo,
    doctor,
):
    _name = _module.__name__.rsplit(".", 1)[-1]
    app.command(name=_name, help=_module.HELP)(getattr(_module, _name))
