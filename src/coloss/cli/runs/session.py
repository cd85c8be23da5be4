"""One training: from checked configuration to a run folder."""

from __future__ import annotations

import dataclasses
import datetime
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from coloss import report
from coloss.callbacks import Checkpoint, GradientFlow
from coloss.checkpoint.pace import Every
from coloss.cli.config import Config, resolved
from coloss.cli.errors import CliError, Exit
from coloss.cli.output import Output
from coloss.cli.runs import environment
from coloss.cli.runs.callbacks import Checkpoints, Journal
from coloss.cli.runs.interrupt import Interrupt
from coloss.cli.runs.networks import build_joint, compile_joint
from coloss.cli.runs.open_source import open_source
from coloss.cli.runs.predictions import evaluation
from coloss.cli.runs.replaced import Replaced
from coloss.cli.runs.results import conflicts, explained, save_models
from coloss.cli.runs.shares import (
    best_epoch,
    by_process_0,
    fit_arguments,
    take_part,
)
from coloss.cli.runs.source_base import Source, outputs_of
from coloss.cli.runs.trackers import trackers
from coloss.data.readers import DataError
from coloss.distributed import barrier, is_main, process_count
from coloss.joint import JointModel, NonFiniteLossError
from coloss.joint.keras_internals import set_random_seed
from coloss.objective import DataWarning
from coloss.run_folder import BEGUN, ENVIRONMENT, RunFolder

if TYPE_CHECKING:
    from coloss.objective.explanation import Explanation


EVERY = datetime.timedelta(seconds=20)
"""From one checkpoint to the next: less than that is lost by a kill."""


@dataclasses.dataclass
class Session:
    """A run that is ready: everything was checked, nothing was written.

    Attributes:
        config: checked.
        folder: that its paths are relative to.
        source: of rows.
        joint: compiled.
        explanation: of the objective, with gradients on some training rows.
        notes: warnings of `compile`.
    """

    config: Config
    folder: Path
    source: Source
    joint: JointModel
    explanation: Explanation
    notes: list[str]


def prepare(config: Config, folder: Path, output: Output) -> Session:
    """Read, build, compile and check everything that training needs.

    Args:
        config: checked.
        folder: that paths are relative to.
        output: for words on the way.

    Raises:
        CliError: naming what cannot be used; nothing was written.
    """
    try:
        source = open_source(config, folder)
        standardizers = source.standardizers()
    except (DataError, ValueError) as error:
        raise CliError(str(error)) from None
    config = source.config  # With what the files have settled.
    set_random_seed(config.training.seed)
    shapes, outputs = source.shapes, outputs_of(source)
    joint = build_joint(config, folder, shapes, outputs, standardizers)
    notes = compile_joint(config, joint)
    check_monitor(config, joint)
    x, y = source.sample()
    try:
        arguments = fit_arguments(config, source)
        if isinstance(arguments["x"], dict):
            joint.check_arrays(arguments["x"], arguments["y"])
        explanation = joint.explain(x, y)
    except (TypeError, ValueError) as error:
        raise CliError(f"the data does not fit the networks: {error}") from None
    return Session(config, folder, source, joint, explanation, notes)


def check_monitor(config: Config, joint: JointModel) -> None:
    """Refuse a `training.monitor` that the history will not have."""
    from coloss.names import nearest

    settings = joint.compiled_settings
    known = ["loss", *settings.loss_tracker.entries]
    known += [one.metric.name for one in settings.metrics]
    entry = config.monitor.removeprefix("val_")
    if entry not in known:
        raise CliError(
            f"training.monitor: the history has no {config.monitor!r}"
            f"{nearest(entry, known)} (entries: {', '.join(known)}, each also with "
            "val_ before)."
        )


def train(
    session: Session,
    run: RunFolder,
    output: Output,
    *,
    page: bool,
    resume: bool = False,
    accept_changes: bool = False,
) -> Exit:
    """Train, and write the run.

    How it ended is the last thing that is written: a run that says "finished" is
    complete, whenever it was killed.

    Args:
        session: ready.
        run: the folder, empty but for a run that is resumed.
        output: for words on the way.
        page: whether to write the page, where training did not fail.
        resume: whether a run goes on.
        accept_changes: whether it may go on with other data, networks or arguments.

    Returns:
        How it ended. Whatever it is, networks and tables are in the folder.
    """
    started = time.monotonic()
    with by_process_0() as own:
        facts = _begin(session, run, "resume" if resume else "start") if own else {}
    if not is_main():
        keeper = _keeper(session, run, accept_changes)
        return take_part(session, output, keeper)
    with _told_how_it_ended(run, facts):
        keeper = _keeper(session, run, accept_changes)
        status, error, best = _fit(session, run, output, keeper)
        save_models(session.joint, run)
        if status != "failed":
            found = evaluation(session.joint, session.source)
            run.write_table("evaluation", pd.concat(found))
    facts |= {
        "status": status,
        "error": error,
        "best_epoch": best,
        "finished": environment.now(),
        "seconds": round(time.monotonic() - started, 3),
    }
    run.append_log("end", status=status, error=error)
    try:
        if page and status != "failed":
            report.write_ending(run, facts)
    except (Exception, KeyboardInterrupt):
        # The networks are there, and `coloss report` draws the page again.
        run.write_json(ENVIRONMENT, facts)
        raise
    run.write_json(ENVIRONMENT, facts)
    if status == "finished":
        run.clear_resume()
    barrier()
    if status == "interrupted":
        return Exit.TERMINATED if error == "SIGTERM" else Exit.INTERRUPTED
    return Exit.FAILED if status == "failed" else Exit.OK


@contextmanager
def _told_how_it_ended(run: RunFolder, facts: dict[str, Any]) -> Iterator[None]:
    """Write down how a run ended that did not come to its end."""
    try:
        yield
    except KeyboardInterrupt as asked:
        # What it trained is in its checkpoints: --resume writes the rest.
        name = signal.Signals(getattr(asked, "number", signal.SIGINT)).name
        told = {"status": "interrupted", "error": f"{name}, before all was written"}
        run.write_json(ENVIRONMENT, {**facts, **told})
        raise
    except Exception as problem:
        told = {"status": "failed", "error": f"{type(problem).__name__}: {problem}"}
        run.write_json(ENVIRONMENT, {**facts, **told})
        raise


def _begin(session: Session, run: RunFolder, event: str) -> dict[str, Any]:
    """Write what is known before the first step; return the facts so far."""
    config, joint = session.config, session.joint
    facts = environment.describe(session.folder, config.training.seed)
    facts["monitor"], facts["best_epoch"] = config.monitor, None
    facts["parameters"] = {n: m.count_params() for n, m in joint.members.items()}
    run.write_config(resolved(config))
    run.write_json(ENVIRONMENT, facts)
    run.write_json("data.json", session.source.describe())
    run.write_json("columns.json", session.source.columns())
    told = explained(joint, session.explanation, config.main)
    run.write_json("explanation.json", told)
    run.resume_folder()
    with run.writing(BEGUN) as partial:
        joint.save(partial)
    run.append_log(event, epochs=config.training.epochs)
    return facts


def _fit(
    session: Session, run: RunFolder, output: Output, keeper: Checkpoint
) -> tuple[str, str | None, int | None]:
    """Return the status, the error, and the best epoch."""
    config, joint = session.config, session.joint
    training = config.training
    interrupt, flow = Interrupt(output, keeper.leave), _flow(session)
    best = best_epoch(config)
    status: str = "finished"
    error = None
    with (
        output.progress(training.epochs, "epoch") as tracker,
        interrupt.listening(),
        noted(output.note),
    ):
        journal = Journal(run, output, tracker, _shown(config))
        callbacks = [*flow, best, *trackers(config, run), journal, keeper]
        if config.output.checkpoint_every:
            every = config.output.checkpoint_every
            callbacks.append(Checkpoints(run, every))
        callbacks.append(Replaced(run.path))
        try:
            joint.fit(
                **fit_arguments(config, session.source),
                epochs=training.epochs,
                callbacks=callbacks,
                verbose=0,
            )
        except NonFiniteLossError as problem:
            status, error = "failed", str(problem)
    if status != "failed" and interrupt.signal is not None:
        status = "interrupted"
        error = signal.Signals(interrupt.signal).name
    run.write_table("history", journal.rows)
    if flow:
        run.write_table("flow", flow[0].table)
    after = joint.explain(*session.source.sample())
    run.write_table("conflicts", conflicts(session.explanation, after))
    return status, error, best.best_epoch if best.best_weights is not None else None


def _keeper(session: Session, run: RunFolder, accept_changes: bool) -> Checkpoint:
    """Return what keeps all that a killed run needs to go on."""
    batch = session.config.training.batch_size
    x = session.source.fit_arguments(batch, session.config.training.seed)["x"]
    # In the middle of an epoch the order of rows is known of arrays only.
    folder = run.resume_folder()
    alone = process_count() == 1  # Several have no clock in common.
    every: Every = EVERY if alone and isinstance(x, dict) else "epoch"
    return Checkpoint(folder, every, accept_changes=accept_changes)


def _flow(session: Session) -> list[GradientFlow]:
    """Return what measures the edges, where there are any."""
    every = session.config.training.flow_every
    if not every or not session.explanation.edges:
        return []
    return [GradientFlow(every=every, data=session.source.sample())]


def _shown(config: Config) -> list[str]:
    return list(dict.fromkeys(["loss", f"val_{config.main}_loss", config.monitor]))


@contextmanager
def noted(note: Callable[[str], None]) -> Iterator[None]:
    """Tell warnings that are for the user as notes, each once."""
    seen: set[str] = set()

    def show(
        message: object, category: type[Warning], *_: object, **__: object
    ) -> None:
        # Others, as of deprecation, are for those who write code; what is doubted of
        # the data was told before, by the names in the files.
        meant = issubclass(category, UserWarning)
        if issubclass(category, DataWarning) or not meant:
            return
        if str(message) not in seen:
            seen.add(str(message))
            note(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield
