"""What was minimized, and how it went: the sections on training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from coloss.names import counted
from coloss.objective.errors import ObjectiveError
from coloss.report import figures, prepare
from coloss.report.figures.teaching import draw, in_words
from coloss.report.mathml import formula
from coloss.report.page.blocks import (
    Absent,
    Block,
    Formula,
    Picture,
    Plot,
    Table,
    Words,
    number,
    thinned,
    wide_table,
)
from coloss.report.page.view import RunView
from coloss.report.prepare.teaching import Diagram
from coloss.report.style import NEUTRAL

_MOST_BARS = 400
_NO_HISTORY = Absent(
    "No history yet: it is written after the first epoch of `coloss train`."
)


def objective(run: RunView) -> list[Block]:
    """Return the objective as a formula, and what it does to each network."""
    found = run.explanation
    if found is None and (run.study or {}).get("objectives"):
        return []  # A study has one an arm, and shows them with its answer.
    if found is None:
        return [Absent("No objective: `coloss train` writes it with its explanation.")]
    explained = found["explanation"]
    text = explained["objective"]
    try:
        parts = formula(text, found["members"], found.get("coefficients") or {})
    except ObjectiveError as error:
        # A term of the user's own is known only where it was registered.
        return [
            Formula((), text),
            Words("No formula", [str(error).splitlines()[0]]),
            *_explained(found.get("text") or ""),
        ]
    return [Formula(parts, text), *_explained(found.get("text") or "")]


def _explained(text: str) -> list[Block]:
    """Return the explanation's paragraphs; its first line is the objective."""
    tones = {"note": "note", "try instead": "code"}
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines()[1:]:
        if line.startswith("  ") and found:
            found[-1][1].append(line.strip())
        else:
            found.append((line, []))
    return [
        Words(title[:1].upper() + title[1:], items, tones.get(title, ""))
        for title, items in found
    ]


def teaching(run: RunView) -> list[Block]:
    """Return the drawing of who teaches whom, and its table."""
    if run.explanation is None:
        return [Absent("No drawing: `coloss train` writes who teaches whom.")]
    diagram = prepare.teaching(run.explanation["explanation"], run.main, run.flow)
    rows = [
        [
            link.learner,
            "itself" if link.source == link.learner else link.source,
            number(link.flow, 3),
            number(link.cosine, 2),
            ", ".join(link.terms),
        ]
        for link in diagram.links
    ]
    columns = ["learner", "learns from", "gradient flow", "cosine", "by"]
    return [
        Picture(
            "Who teaches whom",
            draw(diagram, in_words(diagram)),
            Table("Links", columns, rows),
            _width_note(run, diagram),
        )
    ]


def _width_note(run: RunView, diagram: Diagram) -> str:
    if not diagram.measured:
        return (
            "Widths say nothing: gradient flow was not measured. "
            "`flow_every` in [training] (or the callback GradientFlow) measures it."
        )
    said = "Width: norm of the terms' gradient at the learner, "
    if run.flow is not None:
        measured = run.flow["epoch"].nunique()
        said += f"mean over {counted(measured, 'measured epoch')}. "
    else:
        said += "on one batch before the first step. "
    if any(finite(link.cosine) for link in diagram.links):
        said += (
            "Cosine: the least between such a gradient and that of the learner's own "
            "loss; below 0 they pull against each other."
        )
    return said.strip()


def curves(run: RunView) -> list[Block]:
    """Return one figure a metric, the networks together."""
    if run.history is None:
        return [_NO_HISTORY]
    entries = run.entries
    named = prepare.metric_names(map(str, run.history.columns), entries)
    metrics = dict.fromkeys(metric for found in named.values() for metric in found)
    plots: list[Block] = []
    for metric in metrics:
        table = prepare.learning_curves(run.history, entries, metric)
        if table.empty:
            continue
        drawn = figures.learning_curves(run.history, entries, metric)
        kept = _mark_best(drawn, run)
        wide = wide_table(metric, table, "epoch", ["member", "part"], "value")
        plots.append(
            Plot(
                metric.replace("_", " "),
                f"Lines of {metric} by epoch. {_ends(table, 'member')}",
                to_json(drawn),
                wide,
                f"Solid: validation, dotted: training.{kept}"
                if table["part"].nunique() > 1
                else kept.strip(),
                log=bool((table["value"] > 0).all()) and "loss" in metric,
            )
        )
    return plots or [Absent("No metric of a single network is in the history.")]


def _mark_best(drawn: go.Figure, run: RunView) -> str:
    if run.best_epoch is None:
        return ""
    epoch = run.best_epoch + 1
    drawn.add_vline(x=epoch, line={"color": NEUTRAL, "width": 1.2, "dash": "dash"})
    monitor = (run.environment or {}).get("monitor")
    reason = f", best in {monitor}" if monitor else ""
    return f" Dashed line: epoch {epoch}, whose weights were kept{reason}."


def _ends(table: pd.DataFrame, key: str) -> str:
    part = table
    if "part" in table and (table["part"] == "validation").any():
        part = table[table["part"] == "validation"]
    last = part.groupby(key, sort=False)["value"].last()
    said = "; ".join(f"{name} {number(value, 3)}" for name, value in last.items())
    return f"At the end: {said}." if said else ""


def terms(run: RunView) -> list[Block]:
    """Return the objective's terms on top of each other."""
    if run.history is None or run.explanation is None:
        return [_NO_HISTORY]
    summands = run.explanation["summands"]
    history, note = thinned(prepare.as_history(run.history), _MOST_BARS)
    table = prepare.stacked_terms(history, summands)
    if table.empty:
        return [Absent("No term of the objective is in the history.")]
    return [
        Plot(
            "Terms of the objective",
            f"Stacked bars of the objective's terms by epoch. {_ends(table, 'term')}",
            to_json(figures.terms(history, summands)),
            wide_table("Terms", table, "epoch", ["term"], "value"),
            "Each term with its coefficients, on training rows. What is above the axis "
            f"less what is below it is the objective. {note}".strip(),
        )
    ]


def coefficients(run: RunView) -> list[Block]:
    """Return coefficients and adaptive weights over time."""
    if run.history is None or run.explanation is None:
        return [_NO_HISTORY]
    start = run.explanation.get("coefficients") or {}
    table = prepare.coefficient_curves(run.history, start)
    moving = set(table["name"])
    fixed = [
        f"{name} = {number(value)}"
        for name, value in start.items()
        if name not in moving
    ]
    still: list[Block] = [Words("Constant", fixed)] if fixed else []
    if table.empty:
        return [
            *still,
            Absent(
                "Nothing moves: no coefficient has a schedule, and no weighting is "
                'adaptive. `w = { schedule = "ramp", ... }` would show '
                "here."
            ),
        ]
    named = table.assign(name=table["kind"] + " " + table["name"])
    return [
        Plot(
            "Coefficients over time",
            f"Lines of coefficients and weights by epoch. {_ends(named, 'name')}",
            to_json(figures.coefficients(run.history, start)),
            wide_table("Coefficients", named, "epoch", ["name"], "value"),
        ),
        *still,
    ]


def to_json(drawn: go.Figure) -> str:
    """Return a figure as JSON that can stand inside a script element."""
    drawn.update_layout(template=None, autosize=True)
    text = drawn.to_json()
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return str(text)


def finite(value: float | None) -> bool:
    """Return whether a value is a number that can be drawn."""
    return value is not None and math.isfinite(value)


def last_value(run: RunView, entry: str) -> float | None:
    """Return an entry of the history at the epoch that was kept, else the last one."""
    if run.history is None or entry not in run.history:
        return None
    history: pd.DataFrame = prepare.as_history(run.history)
    best = run.best_epoch
    rows = history[history["epoch"] == best] if best is not None else history
    values = (history if rows.empty else rows)[entry].dropna()
    return float(values.iloc[-1]) if len(values) else None


def metric_entries(explanation: Mapping[str, Any] | None, member: str) -> list[str]:
    """Return a member's entries in the history, its loss last."""
    metrics = (explanation or {}).get("metrics") or {}
    found = [*metrics.get(member, ()), f"{member}_loss"]
    return sorted(dict.fromkeys(found), key=lambda name: name.endswith("_loss"))
