"""`coloss demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coloss.cli.commands.options import examples

HELP = (
    "Four ways to train three networks on real digits: which helps the main one?\n\n"
    + examples("coloss demo --seeds 40")
)


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for model, plot and table.")
    ] = Path("demo"),
    seeds: Annotated[
        int, typer.Option(min=3, max=1000, help="Paired runs of each arm.")
    ] = 20,
    epochs: Annotated[int, typer.Option(min=8, help="Epochs of each run.")] = 60,
) -> None:
    """Train on the data in the package; the help is above."""
    from coloss.cli.demo import run_demo

    run_demo(output, seeds, epochs)
