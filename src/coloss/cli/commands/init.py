"""`coloss init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coloss.cli.commands.options import (
    Force,
    answering,
    examples,
    refusing_to_overwrite,
)

HELP = (
    "Write a configuration with comments, for your files or as a pattern.\n\n"
    "Each network is MEMBER=FILE, the main one first; with --table, MEMBER=PATTERNS "
    "of its columns. Columns of ids and labels are looked for where they are not "
    "named.\n\n"
    + examples(
        "coloss init config.toml",
        "coloss init config.toml acoustic=a.csv visual=v.parquet text=t.npz "
        "--labels labels.csv --id id --label emotion",
        "coloss init config.toml acoustic='F0*,jitter*' text='bert_*' "
        "--table all.parquet --label emotion --split split",
    )
)


def init(
    config: Annotated[Path, typer.Argument(help="File to write.")] = Path(
        "config.toml"
    ),
    members: Annotated[
        list[str] | None, typer.Argument(help="MEMBER=FILE, or MEMBER=PATTERNS.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="File with ids and labels.")
    ] = None,
    table: Annotated[str | None, typer.Option(help="One file with everything.")] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Column that joins the files.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Column that says train, validation, test.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column, such as the speaker.")
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option(help="MEMBER=FILE with the ids of an NPY file.")
    ] = None,
    regression: Annotated[
        bool, typer.Option("--regression", help="Labels are numbers.")
    ] = False,
    force: Force = False,
) -> None:
    """Write a configuration; the help is above."""
    with answering() as out:
        from coloss.cli.config import parse
        from coloss.cli.config.template import Wanted, written

        refusing_to_overwrite(config, force)
        wanted = Wanted.from_options(
            members=members or [],
            labels=labels,
            table=table,
            id=id,
            label=label,
            split=split,
            group=group,
            ids=ids or [],
            regression=regression,
        )
        text = written(wanted.completed(config.parent))
        parse(text, str(config))  # What is written is valid, whatever was asked for.
        config.write_text(text, encoding="utf-8")
        out.say(f"{config} is written. Next: coloss train {config}")
