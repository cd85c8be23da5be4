"""`coloss export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coloss.cli.commands.options import (
    Force,
    Quiet,
    RunPath,
    answering,
    examples,
    refusing_to_overwrite,
)

HELP = (
    "Write one trained network for deployment, alone.\n\n"
    "The format goes by the suffix: .keras, .onnx, .tflite, .xml (OpenVINO), .pt2 "
    "(PyTorch); without one, a TensorFlow SavedModel.\n\n"
    + examples(
        "coloss export run main.onnx", "coloss export run text.keras --member text"
    )
)


def export(
    run: RunPath,
    output: Annotated[Path, typer.Argument(help="File or folder to write.")],
    member: Annotated[
        str | None, typer.Option(help="Network; the main one when left out.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="Where the suffix does not say it.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Export a network; the help is above."""
    with answering(quiet=quiet) as out:
        from coloss.cli.errors import CliError, Exit
        from coloss.cli.runs.reopen import check_network, load_joint, open_run
        from coloss.cli.runs.unfinished import tell_unfinished

        refusing_to_overwrite(output, force)
        folder, settings = open_run(run)
        tell_unfinished(folder, out)
        name = member or settings.main
        check_network(name, settings)
        joint = load_joint(folder)
        try:
            joint.export(output, member=name, format=format, verbose=not quiet)
        except (ValueError, TypeError) as error:
            raise CliError(str(error)) from None
        except (RuntimeError, ImportError) as error:
            raise CliError(str(error), code=Exit.FAILED) from None
        out.say(str(output))
