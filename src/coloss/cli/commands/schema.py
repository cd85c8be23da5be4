"""`coloss schema`."""

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
from coloss.writing import write_text

HELP = (
    "Write the JSON Schema of the configuration, with which editors complete and "
    "check it.\n\n"
    "With the first line `#:schema config.schema.json` in the TOML file, editors with "
    "Taplo (Even Better TOML) find it.\n\n"
    + examples("coloss schema --output config.schema.json")
)


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; else it is printed.")
    ] = None,
    force: Force = False,
) -> None:
    """Print or write the schema; the help is above."""
    with answering() as out:
        import json

        from coloss.cli.config import Config

        text = json.dumps(Config.model_json_schema(), indent=2)
        if output is None:
            out.say(text)
            return
        refusing_to_overwrite(output, force)
        write_text(output, text + "\n")
