"""What came out, and from what: conflicts, outcomes, data, environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from coloss.names import counted
from coloss.report import figures, prepare
from coloss.report.page.blocks import (
    Absent,
    Block,
    Cell,
    Facts,
    Heat,
    Listing,
    Plot,
    Table,
    number,
    thinned,
    wide_table,
)
from coloss.report.page.learning import to_json
from coloss.report.page.view import RunView

_MOST_POINTS = 3000
_MOST_CLASSES, _MOST_BESIDE, _MOST_EPOCHS, _MOST_PAIRS = 20, 10, 16, 15
_WHEN = {"start": "before training", "end": "after training"}


def conflicts(run: RunView) -> list[Block]:
    """Return where terms pull against each other, at each network."""
    blocks: list[Block] = []
    if run.conflicts is not None:
        for (when, member), rows in run.conflicts.groupby(
            ["when", "member"], sort=False
        ):
            matrix = prepare.conflict_matrix(rows, member)
            title = f"At {member}, {_WHEN.get(when, when)}"
            note = "Cosine of two terms' gradients."
            blocks.append(_heat(title, "term", matrix, note))
    if run.flow is not None and run.flow["cosine"].notna().any():
        table = prepare.cosines_over_time(run.flow)
        step = -(-table.shape[1] // _MOST_EPOCHS)
        note = "Cosine between a term's gradient and that of the learner's own loss."
        if step > 1:
            note += f" Every {step} measurements of {table.shape[1]}."
        shown = table.iloc[:, ::step].rename(columns=lambda epoch: f"epoch {epoch}")
        blocks.append(_heat("Over time", "term at its learner", shown, note, wide=True))
    if blocks:
        return blocks
    return [
        Absent(
            "No conflict was measured: two terms must reach the same network, and "
            "`flow_every` in [training] must not be 0."
        )
    ]


def _heat(
    title: str, corner: str, matrix: pd.DataFrame, note: str, wide: bool = False
) -> Heat:
    rows = [
        (str(name), [_cosine(value) for value in row])
        for name, *row in matrix.itertuples(name=None)
    ]
    return Heat(title, corner, [str(c) for c in matrix.columns], rows, note, wide)


def _cosine(value: float) -> Cell:
    if np.isnan(value):
        return Cell("\u2013", 0.0)
    # + 0.0: no minus before what is rounded to 0.
    shown = f"{round(value, 2) + 0.0:.2f}"
    return Cell(shown.replace("-", "\u2212"), float(value))


def outcomes(run: RunView) -> list[Block]:
    """Return confusion and calibration of the main network, or its errors."""
    found = run.evaluation
    if found is None or found.empty:
        return [
            Absent(
                "No predictions: `coloss train` writes them for validation and test "
                "rows at its end."
            )
        ]
    split = "test" if (found["split"] == "test").any() else "validation"
    rows = found[found["split"] == split]
    classes = (run.data or {}).get("classes")
    probabilities = prepare.probabilities_of(rows)
    main = run.main or "the main network"
    if classes is None and probabilities is None:
        return _numbers(rows, split, main)
    names = classes or [str(i) for i in range(probabilities.shape[1])]  # type: ignore[union-attr]
    blocks: list[Block] = [Facts(_class_facts(rows, split, main))]
    counts = prepare.confusion(rows["label"], rows["predicted"], names)
    blocks.append(_confusion(counts, f"Confusion of {main}, {split} rows"))
    if "fused_predicted" in rows:
        fused = prepare.confusion(rows["label"], rows["fused_predicted"], names)
        title = f"Confusion of the fused prediction, {split} rows"
        blocks.append(_confusion(fused, title))
    if probabilities is not None:
        blocks.append(_calibration(rows, probabilities, main, split))
    return blocks


def _class_facts(rows: pd.DataFrame, split: str, main: str) -> list[tuple[str, str]]:
    known = (rows["label"] >= 0) & (rows["predicted"] >= 0)
    facts = [(f"{split} rows with label and input", str(int(known.sum())))]
    for prefix, who in (("", main), ("fused_", "fused")):
        if f"{prefix}predicted" in rows:
            score = accuracy(rows, prefix)
            facts.append((f"accuracy of {who}", number(score, 3)))
        probabilities = prepare.probabilities_of(rows, prefix)
        if probabilities is not None:
            bins = prepare.reliability(rows["label"], probabilities)
            error = prepare.calibration_error(bins)
            facts.append((f"calibration error of {who}", number(error, 3)))
    return facts


def accuracy(rows: pd.DataFrame, prefix: str = "") -> float:
    """Return the share of rows predicted rightly, of those with label and prediction.

    Args:
        rows: of the table "evaluation".
        prefix: "fused_" for the fused prediction.
    """
    predicted = rows[f"{prefix}predicted"]
    known = (rows["label"] >= 0) & (predicted >= 0)
    right = (rows["label"] == predicted)[known]
    return float(right.mean()) if len(right) else float("nan")


def _confusion(counts: pd.DataFrame, title: str) -> Block:
    totals = counts.sum(axis=1)
    note = "Rows are true classes; the color is the share of its row."
    if len(counts) <= _MOST_CLASSES:
        rows = [
            (str(name), [Cell(str(n), n / totals[name] if n else 0.0) for n in row])
            for name, *row in counts.itertuples(name=None)
        ]
        wide = len(counts) > _MOST_BESIDE
        return Heat(title, "true / predicted", list(counts.columns), rows, note, wide)
    wrong = [
        (int(counts.iloc[i, j]), true, predicted)
        for i, true in enumerate(counts.index)
        for j, predicted in enumerate(counts.columns)
        if i != j and counts.iloc[i, j]
    ]
    wrong.sort(key=lambda found: -found[0])
    return Table(
        title,
        ["true class", "taken for", "rows"],
        [[true, predicted, str(n)] for n, true, predicted in wrong[:_MOST_PAIRS]],
        f"The most frequent mistakes among {counted(len(counts), 'class')}.",
    )


def _calibration(
    rows: pd.DataFrame, probabilities: np.ndarray, main: str, split: str
) -> Plot:
    bins = prepare.reliability(rows["label"], probabilities)
    error = prepare.calibration_error(bins)
    columns = ["confidence", "rows", "mean confidence", "accuracy"]
    table = [
        [
            f"{number(b.low, 2)} to {number(b.high, 2)}",
            str(b.rows),
            number(b.confidence, 3),
            number(b.accuracy, 3),
        ]
        for b in bins.itertuples()
    ]
    return Plot(
        f"Calibration of {main}, {split} rows",
        f"Reliability diagram; expected calibration error {number(error, 3)}.",
        to_json(figures.calibration(rows["label"], probabilities)),
        Table("Calibration", columns, table),
        f"Expected calibration error {number(error, 3)}. A bar below its diamond: "
        "the network is too sure of itself; above it: not sure enough.",
    )


def _numbers(rows: pd.DataFrame, split: str, main: str) -> list[Block]:
    scores = prepare.scores(rows["label"], rows["predicted"])
    drawn, note = thinned(rows, _MOST_POINTS)
    most = rows.head(_MOST_EPOCHS)
    table = [
        [str(r.id), number(r.label), number(r.predicted)] for r in most.itertuples()
    ]
    return [
        Facts([(name, number(value)) for name, value in scores.items()]),
        Plot(
            f"Predictions of {main}, {split} rows",
            "Predicted against true values, with the line where both are equal.",
            to_json(figures.predictions(drawn["label"], drawn["predicted"])),
            Table(
                "Predictions",
                ["id", "true", "predicted"],
                table,
                f"The first {len(most)} of {counted(len(rows), 'row')}.",
            ),
            note,
        ),
    ]


def data(run: RunView) -> list[Block]:
    """Return what each network was trained on, and the rows of each class."""
    if run.data is None:
        return [Absent("No summary of the data: `coloss train` writes it.")]
    members = run.data.get("members") or {}
    splits = list(run.data["rows"])
    columns = ["network", "width", "type", "files", "standardized"]
    columns += [f"missing, {split}" for split in splits]
    rows = [_member_row(name, member, splits) for name, member in members.items()]
    counts = prepare.class_counts(run.data)
    facts = [
        (f"{split} rows", f"{count} ({_labeled(run.data, split)} labeled)")
        for split, count in run.data["rows"].items()
    ]
    unlabeled = run.data.get("unlabeled") or {}
    if unlabeled:
        shown = ", ".join(f"{number} with {what}" for what, number in unlabeled.items())
        facts.append(("taken as unlabeled", shown))
    facts += [
        (name, str(run.data[key]))
        for name, key in (("label", "label"), ("rows joined by", "id"))
        if run.data.get(key)
    ]
    return [
        Facts(facts),
        Table("Inputs of the networks", columns, rows),
        Plot(
            "Rows of each class",
            f"Bars of rows by class and split: "
            f"{counted(int(counts['rows'].sum()), 'row')} in all.",
            to_json(figures.data_summary(run.data)),
            wide_table("Rows of each class", counts, "class", ["split"], "rows"),
        ),
    ]


def _labeled(data: Mapping[str, Any], split: str) -> str:
    return number((data.get("labeled") or {}).get(split))


def _member_row(
    name: str, member: Mapping[str, Any], splits: Sequence[str]
) -> list[str]:
    missing = member.get("missing") or {}
    return [
        name,
        str(member.get("width", "\u2013")),
        str(member.get("dtype", "\u2013")),
        ", ".join(map(str, member.get("files") or ())),
        "yes" if member.get("standardized") else "no",
        *(str(missing.get(split, 0)) for split in splits),
    ]


def environment(run: RunView) -> list[Block]:
    """Return how it was run, and with what."""
    found = run.environment
    blocks: list[Block] = []
    if found is None:
        blocks.append(Absent("No environment: `coloss train` writes it."))
    else:
        blocks.append(Facts(_environment_facts(found)))
        versions = found.get("versions") or {}
        rows = [[name, str(version)] for name, version in versions.items()]
        blocks.append(Table("Versions", ["package", "version"], rows, wide=False))
        parameters = found.get("parameters") or {}
        if parameters:
            counted = [[name, f"{count:,}"] for name, count in parameters.items()]
            columns = ["network", "parameters"]
            sizes = Table("Size of the networks", columns, counted, wide=False)
            blocks.append(sizes)
    if run.config:
        blocks.append(Listing("Configuration, complete", run.config))
    return blocks


def _environment_facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    memory = found.get("memory")
    shown = {
        "command": " ".join(map(str, found.get("command") or ())),
        "status": found.get("status"),
        "started": when(found.get("started")),
        "finished": when(found.get("finished")),
        "took": None if found.get("seconds") is None else duration(found["seconds"]),
        "seed": found.get("seed"),
        "backend": found.get("backend"),
        "device": found.get("device"),
        "memory": None if memory is None else f"{memory / 2**30:.1f} GiB",
        "Python": found.get("python"),
        "platform": found.get("platform"),
    }
    return [
        (name, str(value)) for name, value in shown.items() if value not in (None, "")
    ]


def when(moment: str | None) -> str:
    """Return a moment of ISO 8601 to the second, in UTC as the run folder keeps it."""
    return f"{moment[:19].replace('T', ' ')} UTC" if moment else ""


def duration(seconds: float) -> str:
    """Return a time in words: `3 min 20 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{number(seconds, 3)} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
