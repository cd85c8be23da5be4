"""What `coloss study` does."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coloss.checksum import BESIDE
from coloss.cli.config import Config, resolved
from coloss.cli.config.coefficients import as_schedule
from coloss.cli.config.training import Arm, StudyTable
from coloss.cli.errors import CliError, Exit
from coloss.cli.output import Output, Tracker
from coloss.cli.runs import environment
from coloss.cli.runs.claim import claim, claim_again, cleared
from coloss.cli.runs.in_memory import InMemory
from coloss.cli.runs.networks import build_joint, compile_arguments, optimizer_of
from coloss.cli.runs.rows import Rows, read_rows
from coloss.cli.runs.session import noted
from coloss.cli.runs.settle import settled
from coloss.cli.runs.source_base import outputs_of, standardizes
from coloss.cli.signals import code_of
from coloss.data import Split, Standardizer
from coloss.data.readers import DataError
from coloss.names import counted
from coloss.objective import Objective
from coloss.run_folder import ENVIRONMENT, STORE, RunFolder
from coloss.study import Study
from coloss.study.store import finished_runs

if TYPE_CHECKING:
    from coloss.study.result import StudyResult


def run_study(
    config: Config,
    path: Path,
    folder: Path,
    output: Output,
    *,
    force: bool,
    report: bool,
    accept_changes: bool = False,
) -> None:
    """Run a study, or go on with it, and write its folder.

    Args:
        config: checked, with a study.
        path: of the configuration, whose folder paths are relative to.
        folder: of the results.
        output: for words on the way.
        force: whether to begin anew.
        report: whether to write the page.
        accept_changes: whether to go on over changed data, networks or settings.

    Raises:
        CliError: if something cannot be used, or the study was interrupted.
    """
    goes_on = not force and (folder / STORE).exists()
    if goes_on:
        claim_again(folder)
    else:
        claim(folder, force)
    origin = path.parent
    study, source = prepare_study(config, origin)
    run = RunFolder(folder)
    with nullcontext() if goes_on else cleared(folder, force):
        result = _run(study, source, run, output, origin, report, accept_changes)
    output.event("study", folder=str(folder), **result.compare().to_dict("index"))
    output.say(str(result))
    output.say(f"finished: {folder}")
    if report:
        output.say(f"report: {run.report_path}")


def _run(
    study: Study,
    source: InMemory,
    run: RunFolder,
    output: Output,
    origin: Path,
    report: bool,
    accept_changes: bool,
) -> StudyResult:
    """Run a study, and write all that it leaves."""
    config = source.config
    facts = environment.describe(origin, config.data.seed)
    started = time.monotonic()
    run.write_config(resolved(config))
    run.write_json("data.json", source.describe())
    run.write_json(ENVIRONMENT, facts)
    try:
        result = _results(study, run, config, output, accept_changes)
    except CliError as error:
        asked = error.code in (Exit.INTERRUPTED, Exit.TERMINATED)
        ended = "interrupted" if asked else "failed"
        run.write_json(ENVIRONMENT, {**facts, "status": ended})
        raise
    write_result(run, result)
    facts |= {
        "status": "finished",
        "finished": environment.now(),
        "seconds": round(time.monotonic() - started, 3),
    }
    if report:
        _draw(run, facts)
    # The last thing that is written: a study that says so is complete.
    run.write_json(ENVIRONMENT, facts)
    return result


def _draw(run: RunFolder, facts: dict[str, Any]) -> None:
    from coloss.report import write_ending

    try:
        write_ending(run, facts)
    except Exception:
        # The tables are there, and `coloss report` draws the page again.
        run.write_json(ENVIRONMENT, facts)
        raise


def prepare_study(config: Config, folder: Path) -> tuple[Study, InMemory]:
    """Return the study of a configuration, checked, and its rows.

    Raises:
        CliError: if something cannot be used.
    """
    table = _table(config)
    try:
        config = settled(config, folder)
        source = InMemory(config, read_rows(config, folder))
        data = split_of(config, source.rows)
        shapes, outputs = dict(source.shapes), outputs_of(source)
        # A network that cannot be built is told before the study begins.
        build_joint(config, folder, shapes, outputs, {})
        study = Study(
            lambda: build_joint(config, folder, shapes, outputs, {}),
            data,
            {name: _arm(given) for name, given in table.arms.items()},
            compile={"optimizer": optimizer_of(config), **compile_arguments(config)},
            coefficients=_coefficients(config, table),
            learning_rates=table.learning_rates,
            seeds=table.seeds,
            epochs=table.epochs or config.training.epochs,
            batch_size=config.training.batch_size,
            main=config.main,
            baseline=table.baseline,
            controls=table.controls,
            patience=config.training.patience,
        )
        # What an arm cannot do is told now, before anything is written.
        study.prepare()
    except DataError as error:
        raise CliError(str(error)) from None
    except (TypeError, ValueError, KeyError) as error:
        raise CliError(f"study: {error}") from None
    return study, source


def _table(config: Config) -> StudyTable:
    if config.study is None:
        raise CliError("the configuration has no table [study].")
    if config.data.stream:
        raise CliError("data.stream: a study needs its data in memory.")
    if config.data.split is None and config.data.shares[1] == 0:
        raise CliError("data.fractions.test: a study needs test rows; found 0.")
    return config.study


def _arm(given: str | Arm) -> dict[str, Any]:
    if isinstance(given, str):
        return {"objective": given}
    arm = given.model_dump(exclude_none=True, exclude={"coefficients"})
    if given.coefficients:
        arm["coefficients"] = {n: as_schedule(v) for n, v in given.coefficients.items()}
    return arm


def _coefficients(config: Config, table: StudyTable) -> dict[str, Any]:
    """Return what is common to the arms, where one of them names it."""
    given = {n: as_schedule(v) for n, v in config.coefficients.items()}
    given |= table.coefficients
    named: set[str] = set()
    for arm in table.arms.values():
        text = arm if isinstance(arm, str) else arm.objective
        named.update(Objective(text or config.objective_text).names)
    return {name: value for name, value in given.items() if name in named}


def split_of(config: Config, rows: Rows) -> Split | Callable[[int], Split]:
    """Return the split of every seed: a `Split`, or a function of the seed."""
    data = config.data
    drawn = data.split is None or data.fractions is not None
    if not (drawn and config.study and config.study.resplit):
        return _split(config, rows)
    return lambda seed: _split(config, rows.with_parts(config, seed))


def _split(config: Config, rows: Rows) -> Split:
    """Standardize on training rows here: each seed has others."""
    train = rows.parts == "train"
    x = {
        name: _standardized(values, train) if standardizes(config, name) else values
        for name, values in rows.x.items()
    }
    parts = dataclasses.replace(rows, x=x)
    return Split(parts.part("train"), parts.part("validation"), parts.part("test"))


def _standardized(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    width = values.shape[-1]
    measure = Standardizer.of_last_axis(values[train])
    return measure(values.reshape(-1, width)).reshape(values.shape)


def _results(
    study: Study, run: RunFolder, config: Config, output: Output, accept_changes: bool
) -> StudyResult:
    engine = config.study.engine if config.study else "auto"
    run.growing(f"{STORE}-*")  # SQLite writes a journal beside it.
    run.growing(f"{STORE}{BESIDE}")
    store, total = run.growing(STORE), len(study.runs)
    try:
        with (
            output.progress(total, "run") as tracker,
            _watched(store, tracker),
            noted(output.note),
        ):
            return study.run(
                engine=engine, path=store, verbose=False, accept_changes=accept_changes
            )
    except KeyboardInterrupt as error:
        raise CliError(
            f"interrupted: {finished_runs(store)} of {counted(total, 'run')} kept.",
            note="The same command goes on with the others.",
            code=Exit(code_of(error)),
        ) from None
    except (TypeError, ValueError, KeyError) as error:
        raise CliError(f"study: {error}") from None


@contextmanager
def _watched(store: Path, tracker: Tracker) -> Iterator[None]:
    """Tell how many runs are finished, while they are computed."""
    end = threading.Event()

    def watch() -> None:
        last = 0
        while not end.wait(0.5):
            done = finished_runs(store)
            if done > last:
                tracker.step(done, {"finished": done})
            last = done

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def write_result(run: RunFolder, result: StudyResult) -> None:
    """Write a study's result as tables."""
    run.write_table("study", result.frame)
    run.write_table("study_arms", result.compare().reset_index())
    run.write_table("study_history", result.history)
    run.write_json(
        "study.json",
        {
            "objectives": result.objectives,
            "main": result.main,
            "metric": result.metric,
            "direction": result.direction,
            "baseline": result.baseline,
            "controls": list(result.controls),
            "over_controls": result.over_controls.to_dict("records"),
            "beaten": result.beaten,
            "text": str(result),
        },
    )
