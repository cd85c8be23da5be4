"""What `coloss train` does, from checks to the last line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coloss.cli.config import Config
from coloss.cli.errors import Exit
from coloss.cli.output import Output
from coloss.cli.runs.claim import claim, clear
from coloss.cli.runs.session import Session, prepare, train
from coloss.cli.runs.tell import tell_data
from coloss.cli.runs.trackers import check_trackers
from coloss.run_folder import RunFolder


def run_training(
    config: Config, path: Path, folder: Path, output: Output, force: bool, report: bool
) -> Exit:
    """Train, and return the exit code.

    Args:
        config: checked.
        path: of the configuration, whose folder paths are relative to.
        folder: of the run.
        output: for words on the way.
        force: whether an old run may be replaced.
        report: whether to write the page.

    Raises:
        CliError: before anything is written, if something cannot be used.
    """
    claim(folder, force)
    check_trackers(config)
    output.say("reading data and building networks ...")
    session = prepare(config, path.parent, output)
    run = RunFolder(folder)
    clear(folder, force)
    told = session.source.describe()
    tell_data(session.config, told, output)
    _tell_members(told, output)
    for note in session.notes:
        output.note(note)
    output.say(str(session.explanation))
    code = train(session, run, output, page=report)
    _tell_end(session, run, output)
    return code


def _tell_members(told: dict[str, Any], output: Output) -> None:
    rows = told["rows"]
    output.table(
        "members",
        ["member", "features", *[f"missing in {part}" for part in rows]],
        [
            [name, m["width"], *[m["missing"][part] for part in rows]]
            for name, m in told["members"].items()
        ],
    )


def _tell_end(session: Session, run: RunFolder, output: Output) -> None:
    facts = run.environment or {}
    figures = summary(run, session.config)
    output.event("end", folder=str(run.path), status=facts["status"], **figures)
    if facts["error"]:
        output.note(facts["error"])
    if figures:
        output.table(
            f"{session.config.main}, the main network",
            ["part", *next(iter(figures.values()))],
            [
                [
                    part,
                    *[f"{v:.4f}" if isinstance(v, float) else v for v in row.values()],
                ]
                for part, row in figures.items()
            ],
        )
    if facts["best_epoch"] is not None:
        output.say(
            f"best {facts['monitor']} in epoch {facts['best_epoch'] + 1}; the networks "
            "are those of that epoch"
        )
    output.say(f"{facts['status']}: {run.path}")
    if run.report_path.exists():
        output.say(f"report: {run.report_path}")


def summary(run: RunFolder, config: Config) -> dict[str, dict[str, Any]]:
    """Return the main network's figures by part, from the table of predictions.

    Args:
        run: finished.
        config: checked.
    """
    frame = run.evaluation
    if frame is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for part, rows in frame.groupby("split", sort=False):
        if config.is_classification:
            known = rows[(rows["label"] >= 0) & (rows["predicted"] >= 0)]
            right = (known["label"] == known["predicted"]).mean()
            figures = {"rows": len(known), "accuracy": float(right)}
        else:
            known = rows.dropna(subset=["label", "predicted"])
            errors = known["label"] - known["predicted"]
            figures = {"rows": len(known), "mae": float(errors.abs().mean())}
        found[str(part)] = figures
    return found
