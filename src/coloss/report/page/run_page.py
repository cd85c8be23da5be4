"""The page of one run, and of several runs side by side."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from coloss.names import counted
from coloss.report import figures, prepare
from coloss.report.page import learning, outcome
from coloss.report.page.blocks import (
    Absent,
    Block,
    Page,
    Panel,
    Plot,
    Section,
    Table,
    number,
    wide_table,
)
from coloss.report.page.learning import last_value, metric_entries, to_json
from coloss.report.page.study_page import LEAD, study_blocks, study_tiles
from coloss.report.page.view import RunView

_DIFFERENT = ("output",)
"""Parts of the configuration that say nothing about a run's result."""


def _study(run: RunView) -> list[Block]:
    if run.study is None or run.study_arms is None:
        return [
            Absent(
                "No study: whether the main network gained is told by several seeds "
                "with and without its helpers; `coloss study` runs them."
            )
        ]
    return study_blocks(run.study, run.study_arms, run.study_history)


_SECTIONS: tuple[tuple[str, str, str, Callable[[RunView], list[Block]]], ...] = (
    (
        "objective",
        "Objective",
        "What was minimized, and what that does to each network.",
        learning.objective,
    ),
    (
        "teaching",
        "Who teaches whom",
        "Arrows go from teacher to learner.",
        learning.teaching,
    ),
    ("study", "Did it help?", LEAD, _study),
    (
        "curves",
        "Learning curves",
        "Each network's own loss and metrics.",
        learning.curves,
    ),
    (
        "terms",
        "Terms",
        "What the objective was made of, epoch by epoch.",
        learning.terms,
    ),
    (
        "coefficients",
        "Coefficients",
        "What the terms were multiplied by.",
        learning.coefficients,
    ),
    (
        "conflicts",
        "Conflicts",
        "Below 0, a step along one gradient undoes what the other wants.",
        outcome.conflicts,
    ),
    (
        "outcome",
        "Outcome",
        "What the main network answers on rows it did not learn from.",
        outcome.outcomes,
    ),
    ("data", "Data", "What the networks were trained on.", outcome.data),
    ("environment", "Environment", "How to run it again.", outcome.environment),
)


def run_page(run: RunView) -> Page:
    """Return the page of one run."""
    environment = run.environment or {}
    tiles = _tiles(run)
    if run.study is not None and run.study_arms is not None:
        tiles = [*study_tiles(run.study, run.study_arms), *tiles]
    main = f"main network {run.main}" if run.main else "a run of coloss"
    line = ", ".join(filter(None, [main, outcome.when(environment.get("started"))]))
    sections, absent = _sections([run])
    return Page(run.label, line, tiles, sections, _notices(run), absent)


def runs_page(runs: Sequence[RunView]) -> Page:
    """Return the page of several runs, side by side.

    Args:
        runs: with different labels.
    """
    compared = Section(
        "compared",
        "Compared",
        "The same figures of all runs. One run each is no evidence: a study asks many.",
        [Panel("", list(_compared(runs)))],
    )
    title = " and ".join(run.label for run in runs)
    notices = [f"{run.label}: {text}" for run in runs for text in _notices(run)]
    sections, absent = _sections(runs)
    line = f"{counted(len(runs), 'run')} side by side"
    return Page(title, line, [], [compared, *sections], notices, absent)


def _sections(
    runs: Sequence[RunView],
) -> tuple[list[Section], list[tuple[str, str]]]:
    """Return the sections that say something, and what would give the others."""
    several = len(runs) > 1
    sections, absent = [], []
    for name, title, lead, make in _SECTIONS:
        found = [make(run) for run in runs]
        said = [block for blocks in found for block in blocks]
        if all(isinstance(block, Absent) for block in said):
            absent += [(title, b.text) for b in said[:1] if isinstance(b, Absent)]
            continue
        panels = [
            Panel(run.label if several else "", blocks)
            for run, blocks in zip(runs, found, strict=True)
        ]
        sections.append(Section(name, title, lead, panels))
    return sections, absent


def _notices(run: RunView) -> list[str]:
    status = (run.environment or {}).get("status")
    if status in (None, "finished"):
        return []
    if status == "running":
        return [
            "This run is not finished: it was killed, or it is running. The page shows "
            "what it has; `coloss train --resume` goes on with a run that was killed."
        ]
    error = (run.environment or {}).get("error")
    return [f"This run is {status}{': ' + error if error else ''}."]


def _tiles(run: RunView) -> list[tuple[str, str]]:
    tiles = []
    if run.main:
        entries = metric_entries(run.explanation, run.main)
        monitor = (run.environment or {}).get("monitor")
        for entry in dict.fromkeys(filter(None, [monitor, f"val_{entries[0]}"])):
            value = last_value(run, entry)
            if value is not None:
                said = entry.removeprefix("val_").replace("_", " ")
                split = "validation" if entry.startswith("val_") else "training"
                tiles.append((number(value, 3), f"{said}, {split}"))
    tested = _tested(run)
    if tested is not None:
        tiles.append((number(tested, 3), f"{run.main} accuracy, test"))
    if run.history is not None:
        kept = f", {run.best_epoch + 1} kept" if run.best_epoch is not None else ""
        tiles.append((str(len(run.history)), f"epochs{kept}"))
    seconds = (run.environment or {}).get("seconds")
    if seconds is not None:
        tiles.append((outcome.duration(seconds), "of training"))
    return tiles


def _compared(runs: Sequence[RunView]) -> Iterator[Block]:
    entries: dict[str, None] = {}
    for run in runs:
        for member in run.entries:
            for entry in metric_entries(run.explanation, member):
                entries |= dict.fromkeys((f"val_{entry}", entry))
    rows = [
        [entry, *(number(last_value(run, entry)) for run in runs)]
        for entry in entries
        if any(last_value(run, entry) is not None for run in runs)
    ]
    labels = [run.label for run in runs]
    tested = [_tested(run) for run in runs]
    if any(value is not None for value in tested):
        rows.insert(0, ["accuracy on test rows", *map(number, tested)])
    yield Table(
        "Metrics",
        ["entry", *labels],
        rows,
        "At the epoch whose weights were kept, else at the last one.",
    )
    yield from _overlaid(runs)
    differences = list(_differences(runs))
    if differences:
        yield Table("What differs in the configuration", ["key", *labels], differences)
    else:
        yield Absent("The configurations do not differ.")


def _tested(run: RunView) -> float | None:
    """Return the main network's accuracy on test rows; None where there is none."""
    found = run.evaluation
    if found is None or prepare.probabilities_of(found) is None:
        return None
    rows = found[found["split"] == "test"]
    return outcome.accuracy(rows) if len(rows) else None


def _overlaid(runs: Sequence[RunView]) -> Iterator[Block]:
    """Yield the main network's metrics, the runs in one figure."""
    metrics = dict.fromkeys(
        entry.removeprefix(f"{run.main}_")
        for run in runs
        if run.main
        for entry in metric_entries(run.explanation, run.main)
    )
    labels = [run.label for run in runs]
    for metric in metrics:
        columns = [
            run.history.set_index("epoch")[f"{part}{run.main}_{metric}"].rename(
                f"{part}{run.label}_{metric}"
            )
            for run in runs
            for part in ("", "val_")
            if run.history is not None and f"{part}{run.main}_{metric}" in run.history
        ]
        if not columns:
            continue
        merged = (
            pd.concat(columns, axis=1).sort_index().rename_axis("epoch").reset_index()
        )
        table = prepare.learning_curves(merged, labels, metric)
        yield Plot(
            f"{metric} of the main network",
            f"Lines of the main network's {metric} by epoch, one color a run.",
            to_json(figures.learning_curves(merged, labels, metric)),
            wide_table(metric, table, "epoch", ["member", "part"], "value"),
            "Solid: validation, dotted: training.",
            log="loss" in metric,
        )


def _differences(runs: Sequence[RunView]) -> Iterator[list[str]]:
    flat = [dict(_flat(tomllib.loads(run.config or ""))) for run in runs]
    for key in dict.fromkeys(key for found in flat for key in found):
        values = [found.get(key, "\u2013") for found in flat]
        if len(set(values)) > 1 and not key.startswith(_DIFFERENT):
            yield [key, *values]


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, str(value)
