"""`coloss predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coloss.cli.commands.options import (
    Force,
    Json,
    Quiet,
    RunPath,
    answering,
    examples,
)
from coloss.names import counted

HELP = (
    "Predict with a trained network, for rows of new files.\n\n"
    "The main network needs its own file only: MEMBER=FILE, in the format of the "
    "training data (labels are not needed). Predictions are written with the ids, as "
    "CSV or Parquet by the suffix of --output.\n\n"
    + examples(
        "coloss predict run acoustic=new.csv --output predictions.csv",
        "coloss predict run new_table.parquet --output predictions.parquet",
        "coloss predict run acoustic=new.csv visual=v.csv text=t.npz --fused -o p.csv",
        "coloss predict run text=t.npz --member text --probabilities -o expert.csv",
    )
)


def predict(
    run: RunPath,
    files: Annotated[
        list[str], typer.Argument(help="MEMBER=FILE, or the one FILE of a table.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV or Parquet.")],
    member: Annotated[
        str | None, typer.Option(help="Network; the main one when left out.")
    ] = None,
    fused: Annotated[
        bool, typer.Option("--fused", help="The common prediction of all networks.")
    ] = False,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            help="Ids and a probability a class only: what `outputs` of a recorded "
            "member reads.",
        ),
    ] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict; the help is above."""
    with answering(json, quiet) as out:
        from coloss.cli.commands.options import refusing_to_overwrite
        from coloss.cli.errors import CliError
        from coloss.cli.runs.reopen import open_run
        from coloss.cli.runs.unfinished import tell_unfinished

        if output.suffix not in (".csv", ".parquet"):
            raise CliError(f"--output must end in .csv or .parquet; found '{output}'.")
        refusing_to_overwrite(output, force)
        folder, settings = open_run(run)
        tell_unfinished(folder, out)
        from coloss.cli.runs.predict import predict_files
        from coloss.cli.spreadsheet import write_table

        frame = predict_files(
            folder, settings, files, member, fused, only_probabilities=probabilities
        )
        formulas = write_table(frame, output)
        if formulas:
            out.note(
                f"{counted(formulas, 'cell')} begin like a formula (= + - @) and got "
                "an apostrophe in front, so that no spreadsheet runs them. Parquet "
                "(--output NAME.parquet) keeps the values as they are."
            )
        out.event("predictions", rows=len(frame), file=str(output))
        out.say(f"{counted(len(frame), 'prediction')}: {output}")
