"""`coloss init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coloss.cli.commands.options import (
    Force,
    answering,
    examples,
    refusing_to_overwrite,
)
from coloss.cli.errors import CliError
from coloss.writing import write_text

if TYPE_CHECKING:
    from coloss.cli.config import Config
    from coloss.cli.output import Output

LARGE = 2**30
"""Bytes above which files are not read for what `init` tells."""
HELP = (
    "Write a configuration with comments, for your files or as a pattern.\n\n"
    "Each network is MEMBER=FILE, the main one first; with --table, MEMBER=PATTERNS "
    "of its columns. Columns of ids and labels are looked for where they are not "
    "named; without --labels, the label is a column of a member's file. Files without "
    "ids are joined by the place of their rows, where all have as many.\n\n"
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
        from coloss.cli.config.from_files import completed
        from coloss.cli.config.template import Wanted, written
        from coloss.data.readers import DataError

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
        try:
            text = written(completed(wanted, config.parent))
        except DataError as error:
            raise CliError(str(error)) from None
        # What is written is valid, whatever was asked for.
        settings = parse(text, str(config))
        write_text(config, text)
        if members:
            _tell(settings, config.parent, out)
        out.say(f"{config} is written. Next: coloss train {config}")


def _tell(settings: Config, folder: Path, out: Output) -> None:
    """Tell what will be read and left out; what cannot be used is a note here."""
    from coloss.cli.runs.open_source import open_source
    from coloss.cli.runs.tell import tell_data
    from coloss.data.readers import DataError

    files = [settings.data.labels, settings.data.table]
    files += [member.data for member in settings.members.values()]
    size = sum((folder / file).stat().st_size for file in set(files) if file)
    if size > LARGE:
        out.note("the files are large: `coloss validate --data` says what is in them.")
        return
    try:
        source = open_source(settings, folder)
    except DataError as error:
        out.note(f"this is to be mended before training: {error}")
        return
    tell_data(source.config, source.describe(), out)
