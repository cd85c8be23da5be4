"""`coloss explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from coloss.cli.commands.options import (
    ConfigFile,
    Json,
    answering,
    examples,
)

HELP = (
    "Say what the objective will do to each network, before it is done.\n\n"
    "By its form, at once; with --batch the networks are built, and gradients are "
    "measured on some training rows.\n\n"
    + examples("coloss explain config.toml", "coloss explain config.toml --batch")
)


def explain(
    config: ConfigFile,
    batch: Annotated[
        bool, typer.Option("--batch", help="Measure gradients on training rows.")
    ] = False,
    json: Json = False,
) -> None:
    """Explain an objective; the help is above."""
    with answering(json) as out:
        from coloss.cli.commands.validate import explained
        from coloss.cli.config import load

        settings = load(config)
        if batch:
            from coloss.cli.runs.session import prepare

            session = prepare(settings, config.parent, out)
            found = session.explanation
        else:
            found = explained(settings)
        out.event("explanation", **found.to_dict())
        out.say(str(found))
