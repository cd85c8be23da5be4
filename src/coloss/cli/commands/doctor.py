"""`coloss doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from coloss.cli.commands.options import Json, answering, examples

HELP = (
    "Look at backend, device, versions and memory, and train for some seconds.\n\n"
    "Every problem comes with what to do about it. The exit code is 1 if something "
    "is broken.\n\n" + examples("coloss doctor", "coloss doctor --quick")
)


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Without the self-test.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the installation; the help is above."""
    with answering(json, any_backend=True) as out:
        from coloss.cli.errors import Exit
        from coloss.cli.health import findings

        broken = False
        with out.progress(1, "checking") as tracker:
            found = list(findings(quick))
            tracker.step(1)
        for finding in found:
            out.event("finding", **finding._asdict())
        out.table(
            "coloss doctor",
            ["what", "state", "found", "what to do"],
            [[f.what, f.state, f.found, f.mend] for f in found],
        )
        broken = any(finding.state == "broken" for finding in found)
        out.say("something is broken" if broken else "all is well")
        if broken:
            raise typer.Exit(Exit.FAILED)
