"""What a study found, as a page of its own or as a section of a run's page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from coloss.names import beaten_words, counted
from coloss.report import figures, prepare
from coloss.report.page.blocks import (
    Absent,
    Block,
    Page,
    Panel,
    Plot,
    Section,
    Table,
    Words,
    number,
    wide_table,
)
from coloss.report.page.learning import to_json

if TYPE_CHECKING:
    from coloss.study.result import StudyResult

_MOST_RUNS = 500

LEAD = (
    "Every arm trained from the same seeds; the gain is over the baseline, pair by "
    "pair, on test rows that chose nothing."
)


def study_page(result: StudyResult, title: str = "Study") -> Page:
    """Return the page of a study.

    Args:
        result: a `coloss.study.StudyResult`, or what has its attributes.
        title: of the page.
    """
    compared = result.compare().rename_axis("arm").reset_index()
    study = {
        "main": result.main,
        "metric": result.metric,
        "baseline": result.baseline,
        "direction": result.direction,
        "objectives": result.objectives,
        "controls": list(result.controls),
        "over_controls": result.over_controls.to_dict("records"),
        "beaten": result.beaten,
    }
    history = result.history if len(result.history) else None
    blocks = study_blocks(study, compared, history)
    runs = result.frame
    failed = int(runs["error"].notna().sum()) if "error" in runs else 0
    notices = [
        f"{counted(failed, 'run')} ended early: the loss was not finite."
    ] * bool(failed)
    rows = Section("runs", "Runs", "One row a run.", [Panel("", [_runs(runs)])])
    sections = [Section("study", "Did it help?", LEAD, [Panel("", blocks)]), rows]
    line = (
        f"Did {result.main} gain over '{result.baseline}'? {counted(len(runs), 'run')}."
    )
    return Page(title, line, study_tiles(study, compared), sections, notices)


def study_tiles(
    study: Mapping[str, Any], compared: pd.DataFrame
) -> list[tuple[str, str]]:
    """Return the answer in numbers: the best gain, and how sure it is."""
    tiles = [(str(int(compared["seeds"].max())), "paired seeds")]
    table = prepare.forest(compared)
    if table.empty:
        return tiles
    best = table.iloc[-1 if study.get("direction") == "min" else 0]
    told = _gains_of(compared)
    interval = f"{told(best['low'])} to {told(best['high'])}"
    return [
        (str(best["verdict"]), f"{study['main']}, with \u2018{best['arm']}\u2019"),
        (told(best["gain"]), f"gain in {study['metric']} [{interval}]"),
        *tiles,
    ]


def study_blocks(
    study: Mapping[str, Any], compared: pd.DataFrame, history: pd.DataFrame | None
) -> list[Block]:
    """Return verdicts, forest plot, table and curves.

    Args:
        study: `main`, `metric`, `baseline`, `objectives`.
        compared: `StudyResult.compare()`, `arm` as a column.
        history: `StudyResult.history`; None: there is none.
    """
    metric, told = study["metric"], _gains_of(compared)
    found: list[Block] = [Words("In words", _in_words(study, compared), "answer")]
    forest = prepare.forest(compared)
    if not forest.empty:
        found.append(
            Plot(
                f"Gain over \u2018{study['baseline']}\u2019",
                "Forest plot of gains with 95 % intervals: "
                + "; ".join(
                    f"{r.arm} {told(r.gain)}, {r.verdict}" for r in forest.itertuples()
                )
                + ".",
                to_json(figures.forest(compared, metric)),
                _arms(compared, study),
                "95 % intervals that hold for all arms together (Bonferroni). An "
                "interval that contains 0 is no evidence.",
            )
        )
    found.append(_curves(study, compared, history))
    found.append(_arms(compared, study))
    over = _over_controls(study, told)
    found += [over] if over.rows else []
    objectives = study.get("objectives") or {}
    rows = [[str(arm), str(text)] for arm, text in objectives.items() if text]
    if rows:
        found.append(Table("Objectives", ["arm", "objective"], rows))
    return found


def _arms(compared: pd.DataFrame, study: Mapping[str, Any]) -> Table:
    rows, told = [], _gains_of(compared)
    for row in compared.to_dict("records"):
        interval = "\u2013"
        if pd.notna(row["gain"]):
            interval = f"{told(row['low'])} to {told(row['high'])}"
        rows.append(
            [
                str(row["arm"]),
                number(row["mean"]),
                told(row["gain"]),
                interval,
                number(row["p"], 2),
                str(row["verdict"]),
                str(row.get("point") or "\u2013"),
            ]
        )
    columns = [
        "arm",
        f"mean {study['metric']}",
        "gain",
        "95 % interval",
        "p",
        "verdict",
    ]
    return Table("Arms", [*columns, "chosen point"], rows)


def _in_words(study: Mapping[str, Any], compared: pd.DataFrame) -> list[str]:
    table = prepare.forest(compared)
    said = {
        "gained": "gained with",
        "no evidence": "shows no evidence of a gain or a loss with",
        "harmed": "was harmed by",
    }
    lines = []
    for verdict, words in said.items():
        arms = table.loc[table["verdict"] == verdict, "arm"].tolist()
        if arms:
            named = ", ".join(f"\u2018{arm}\u2019" for arm in arms)
            lines.append(f"{study['main']} {words} {named}.")
    if not lines:
        return ["There is one arm: nothing to compare it with."]
    return [*lines, *_control_words(study, _gains_of(compared))]


def _control_words(
    study: Mapping[str, Any], told: Callable[[float], str]
) -> Iterator[str]:
    """Yield whether the gains came from the other networks, as the terminal says it."""
    controls = study.get("controls")
    if controls is None:
        return  # Written by an earlier version.
    if not controls:
        yield (
            "No arm is a control (self-training, twin, equal or random weights): that "
            "a gain comes from the other networks is not shown."
        )
    for arm, found in (study.get("beaten") or {}).items():
        yield beaten_words(arm, found, quotes=("\u2018", "\u2019"))
    for row in study.get("over_controls") or ():
        than = "gains over" if row["verdict"] == "gained" else "no gain over"
        arm, control = row["arm"], row["control"]
        yield (
            f"\u2018{arm}\u2019: {than} the control \u2018{control}\u2019, "
            f"{told(row['gain'])} [{told(row['low'])} to {told(row['high'])}]."
        )


def _over_controls(study: Mapping[str, Any], told: Callable[[float], str]) -> Table:
    rows = [
        [
            str(row["arm"]),
            str(row["control"]),
            told(row["gain"]),
            f"{told(row['low'])} to {told(row['high'])}",
            str(row["verdict"]),
        ]
        for row in study.get("over_controls") or ()
    ]
    columns = ["arm", "over the control", "gain", "95 % interval", "verdict"]
    note = "What a control gains, too, did not come from the other networks."
    return Table("Gain over the controls", columns, rows, note)


def _curves(
    study: Mapping[str, Any], compared: pd.DataFrame, history: pd.DataFrame | None
) -> Block:
    entry = f"val_{study['metric']}"
    if history is None or entry not in history:
        return Absent(f"No curves of the arms: the history has no {entry}.")
    points = dict(zip(compared["arm"], compared["point"].fillna(""), strict=True))
    chosen = prepare.at_points(history, points)
    table = prepare.arm_curves(chosen, entry)
    return Plot(
        f"{entry} by arm",
        f"Lines of {entry} by epoch, the mean of each arm's runs with their spread.",
        to_json(figures.arm_curves(chosen, entry)),
        wide_table(entry, table, "epoch", ["arm"], "mean"),
        "Mean of the runs at each arm's chosen point, and one standard deviation.",
    )


def _runs(frame: pd.DataFrame) -> Table:
    empty = [name for name in ("error",) if name in frame and frame[name].isna().all()]
    shown = frame.drop(columns=empty).head(_MOST_RUNS)
    rows = [
        ["\u2013" if pd.isna(value) else number(value) for value in row]
        for row in shown.itertuples(index=False, name=None)
    ]
    note = (
        f"The first {len(rows)} of {counted(len(frame), 'run')}."
        if len(frame) > len(rows)
        else ""
    )
    return Table("Runs", [str(column) for column in shown.columns], rows, note)


def _gains_of(compared: pd.DataFrame) -> Callable[[float], str]:
    """Return what writes a gain: with the decimals of four digits of the means.

    A gain that is nothing beside them is 0, not a number with an exponent.
    """
    largest = float(compared["mean"].abs().max())
    known = math.isfinite(largest) and largest > 0
    decimals = max(0, 3 - math.floor(math.log10(largest))) if known else 4

    def told(value: float) -> str:
        if pd.isna(value):
            return "\u2013"
        # + 0.0: no sign before what is rounded to 0.
        rounded = round(float(value), decimals) + 0.0
        sign = "+" if rounded > 0 else ""
        return f"{sign}{rounded:.{decimals}f}".replace("-", "\u2212")

    return told
