"""`coloss train`."""

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
from coloss.cli.commands.several import (
    is_helper,
    is_one_of_several,
    join,
    launch_again,
    of_several,
)
from coloss.cli.errors import CliError

HELP = (
    "Train the networks of a configuration, and write a run folder.\n\n"
    "The folder holds each network, histories, predictions and a report. Ctrl-C ends "
    "training after the present step and saves what was trained (exit code 130, by "
    "SIGTERM 143). A run that was killed or interrupted goes on with --resume, to the "
    "bits of one that was not.\n\n"
    + examples(
        "coloss train config.toml",
        "coloss train config.toml --output runs/second --epochs 10 --json",
        "coloss train config.toml --processes 2",
    )
)


def train(
    config: ConfigFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Run folder, for output.folder."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="For training.epochs.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="For training.seed.")] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write files for TensorBoard.")
    ] = False,
    mlflow: Annotated[
        str | None, typer.Option(help="MLflow experiment to log to.")
    ] = None,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run.")
    ] = False,
    accept_changes: AcceptChanges = False,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Processes on this machine that share the rows."),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train as configured; the help is above."""
    with of_several(), answering(json, quiet or is_helper()) as out:
        if (processes or 1) > 1 and not is_one_of_several():
            raise typer.Exit(launch_again(processes, out))
        if resume and force:
            raise CliError(
                "--resume goes on with a run, and --force deletes it: give one of them."
            )
        if accept_changes and not resume:
            raise CliError("--accept-changes is for a run that goes on: --resume.")
        from coloss.cli.config import load
        from coloss.cli.config.overrides import overridden

        settings = overridden(
            load(config),
            training={"epochs": epochs, "seed": seed},
            output={"tensorboard": tensorboard or None, "mlflow": mlflow},
        )
        folder = output or config.parent / settings.output.folder
        refusing_an_impossible_folder(folder)
        join(settings.training.seed)
        from coloss.cli.runs.train import run_training

        code = run_training(
            settings,
            config,
            folder,
            out,
            force=force,
            report=report,
            resume=resume,
            accept_changes=accept_changes,
        )
        raise typer.Exit(code)
