"""What `coloss train` does, from checks to the last line."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from coloss.checkpoint import CheckpointError
from coloss.cli.config import Config, resolved
from coloss.cli.errors import CliError, Exit
from coloss.cli.output import Output
from coloss.cli.runs.claim import claim, claim_again, cleared
from coloss.cli.runs.session import Session, prepare, train
from coloss.cli.runs.shares import by_process_0
from coloss.cli.runs.tell import tell_data
from coloss.cli.runs.trackers import check_trackers
from coloss.distributed import LostProcessError, is_main
from coloss.run_folder import RunFolder, without_none


def run_training(
    config: Config,
    path: Path,
    folder: Path,
    output: Output,
    *,
    force: bool,
    report: bool,
    resume: bool,
    accept_changes: bool = False,
) -> Exit:
    """Train, and return the exit code.

    Args:
        config: checked.
        path: of the configuration, whose folder paths are relative to.
        folder: of the run.
        output: for words on the way.
        force: whether an old run may be replaced.
        report: whether to write the page.
        resume: whether to go on with the run that is in the folder.
        accept_changes: whether to go on over another configuration or other data.

    Raises:
        CliError: before anything is written, if something cannot be used.
    """
    with by_process_0() as own:
        if own and resume:
            _check_unfinished(folder)
        elif own:
            claim(folder, force)
        check_trackers(config)
        output.say("reading data and building networks ...")
        session = prepare(config, path.parent, output)
        run = RunFolder(folder)
        if own and resume:
            _check_same(run, session.config, output if accept_changes else None)
    told = session.source.describe()
    tell_data(session.config, told, output)
    _tell_members(told, output)
    for note in session.notes:
        output.note(note)
    output.say(str(session.explanation))
    new = is_main() and not resume
    try:
        with cleared(folder, force) if new else nullcontext():
            code = train(
                session,
                run,
                output,
                page=report,
                resume=resume,
                accept_changes=accept_changes,
            )
    except CheckpointError as error:
        raise CliError(str(error)) from None
    except LostProcessError as error:
        again = "Go on from its last checkpoint, with the same command and --resume."
        raise CliError(str(error), code=Exit.FAILED, note=again) from None
    if is_main():
        _tell_end(session, run, output)
    return code


def _check_unfinished(folder: Path) -> None:
    """Refuse to go on where nothing can go on."""
    try:
        run = RunFolder.opened(folder)
    except FileNotFoundError as error:
        raise CliError(f"--resume: {error}") from None
    claim_again(folder)
    if not run.can_resume:
        status = (run.environment or {}).get("status")
        why = "is finished" if status == "finished" else "has no checkpoint yet"
        raise CliError(
            f"--resume: the run in '{folder}' {why}.",
            note="Train anew: in another folder (--output), or in its place (--force).",
        )


def _check_same(run: RunFolder, config: Config, accepting: Output | None) -> None:
    """Refuse to go on with another configuration, and say what differs.

    Args:
        run: that goes on.
        config: the present one.
        accepting: where to say it, if it is no reason to refuse; None: it is.
    """
    before, now = _flat(run.config or {}), _flat(without_none(resolved(config)))
    differs = [
        f"{key} ({before.get(key)!r} there, {now.get(key)!r} here)"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]
    if differs and accepting is not None:
        accepting.note(f"another configuration, accepted: {'; '.join(differs)}")
    elif differs:
        raise CliError(
            f"--resume: the run in '{run.path}' has another configuration: "
            f"{'; '.join(differs)}.",
            note="Go on with the same configuration and options, or train anew; or "
            "accept the difference: --accept-changes.",
        )


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the values of nested tables by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        where = f"{before}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{where}.")
        else:
            found[where] = value
    return found


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
