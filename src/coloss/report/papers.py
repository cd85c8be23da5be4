"""The figures of the report for papers: matplotlib, PNG, SVG or PDF.

Each function takes what its namesake in `coloss.report.figures` takes and draws the
same numbers; `save` writes any of them. No window is opened and no global state of
matplotlib is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from coloss.report import prepare
from coloss.report.prepare.curves import History, Members
from coloss.report.prepare.rows import Flow
from coloss.report.style import HARM, NEUTRAL, SERIES, VERDICTS, colors, marks
from coloss.writing import whole

if TYPE_CHECKING:
    from coloss.objective.explanation import Explanation

_LONGEST = 20
_SIZE = (4.6, 3.1)
"""Inches: one column of a paper, and a little more."""


def save(figure: Figure, path: str | Path, dpi: int = 300) -> Path:
    """Write a figure; the ending of the name says how: .png, .svg, .pdf.

    Args:
        figure: what one of these functions returned.
        path: the file. Its folder must exist.
        dpi: dots an inch of a PNG.
    """
    target = Path(path)
    # Letters stay letters in an SVG, and the same figure gives the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "coloss"}):
        date = {"Date": None} if target.suffix == ".svg" else {}
        with whole(target) as partial:
            figure.savefig(partial, dpi=dpi, metadata=date)
    return target


def learning_curves(history: History, members: Members, metric: str = "loss") -> Figure:
    """Draw one metric of every network: training dotted, validation solid."""
    table = prepare.learning_curves(history, members, metric)
    figure, axes = _axes("epoch", metric)
    color, mark = colors(members), marks(members)
    both = table["part"].nunique() > 1
    for (member, part), rows in table.groupby(["member", "part"], sort=False):
        solid = part == "validation" or not both
        axes.plot(
            rows["epoch"],
            rows["value"],
            linestyle="-" if solid else ":",
            color=color[member],
            marker=mark[member][1] if solid else None,
            markevery=max(1, len(rows) // 9),
            markersize=4,
            label=_plain(member if not both else f"{member}, {part}"),
        )
    return _with_legend(figure, axes)


def terms(history: History, summands: Sequence[str]) -> Figure:
    """Draw the terms of the objective on top of each other, epoch by epoch."""
    table = prepare.stacked_terms(history, summands)
    figure, axes = _axes("epoch", "term's share of the objective")
    color = colors(table["term"])
    for i, (term, rows) in enumerate(table.groupby("term", sort=False)):
        axes.bar(
            rows["epoch"],
            rows["value"],
            bottom=rows["base"],
            width=0.9,
            color=color[term],
            hatch=("", "//", "..", "xx")[i % 4],
            edgecolor="white",
            linewidth=0,
            label=_plain(term),
        )
    axes.axhline(0, color=NEUTRAL, linewidth=0.8)
    return _with_legend(figure, axes)


def coefficients(history: History, names: Iterable[str] = ()) -> Figure:
    """Draw coefficients and adaptive weights over time."""
    table = prepare.coefficient_curves(history, names)
    figure, axes = _axes("epoch", "value")
    keys = table["kind"] + " " + table["name"]
    color, mark = colors(keys), marks(keys)
    for (kind, name), rows in table.groupby(["kind", "name"], sort=False):
        key = f"{kind} {name}"
        axes.plot(
            rows["epoch"],
            rows["value"],
            color=color[key],
            marker=mark[key][1],
            markevery=max(1, len(rows) // 9),
            markersize=4,
            label=_plain(name if kind == "coefficient" else f"weight of {name}"),
        )
    return _with_legend(figure, axes)


def conflicts(
    cosines: Iterable[tuple[str, str, str, float]] | pd.DataFrame, member: str
) -> Figure:
    """Draw the cosines between the terms' gradients at one network."""
    return _cosines(prepare.conflict_matrix(cosines, member), "", "")


def cosines(flow: Flow) -> Figure:
    """Draw each edge's cosine with its learner's own loss over time."""
    return _cosines(prepare.cosines_over_time(flow), "epoch", "")


def confusion(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]
) -> Figure:
    """Draw how often each class was taken for each other."""
    counts = prepare.confusion(labels, predicted, classes)
    totals = counts.sum(axis=1).to_numpy()[:, None]
    share = counts.to_numpy() / np.where(totals > 0, totals, 1)
    text = counts.astype(str).to_numpy()
    return _heat_map(
        counts, share, text, ("BuGn", 0.0, 1.0), ("predicted class", "true class")
    )


def calibration(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> Figure:
    """Draw how often predictions of each confidence are right."""
    table = prepare.reliability(labels, probabilities, bins)
    found = table[table["rows"] > 0]
    figure, axes = _axes("confidence", "accuracy")
    width = found["high"] - found["low"]
    middle = (found["low"] + found["high"]) / 2
    axes.bar(middle, found["accuracy"], width * 0.92, color=SERIES[0], label="accuracy")
    axes.plot([0, 1], [0, 1], "--", color=NEUTRAL, label="perfectly calibrated")
    axes.plot(
        found["confidence"],
        found["confidence"],
        "D",
        color=SERIES[1],
        markersize=5,
        label="mean confidence",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    error = prepare.calibration_error(table)
    axes.set_title(f"expected calibration error {error:.3f}", fontsize=9)
    return _with_legend(figure, axes)


def predictions(labels: ArrayLike, predicted: ArrayLike) -> Figure:
    """Draw predicted numbers against true ones, of a network without classes."""
    figure, axes = _axes("true", "predicted")
    true = np.asarray(labels, "float64")
    axes.scatter(true, predicted, s=12, alpha=0.6, color=SERIES[0], label="a row")
    if np.isfinite(true).any():
        ends = [np.nanmin(true), np.nanmax(true)]
        axes.plot(ends, ends, "--", color=NEUTRAL, label="equal")
    return _with_legend(figure, axes)


def forest(compared: pd.DataFrame, metric: str = "") -> Figure:
    """Draw the gain of each arm over the baseline, with its interval."""
    table = prepare.forest(compared)
    figure, axes = _axes(f"gain in {metric}" if metric else "gain", "")
    for verdict, (color, _, mark) in VERDICTS.items():
        rows = table[table["verdict"] == verdict]
        if rows.empty:
            continue
        ends = np.array([rows["gain"] - rows["low"], rows["high"] - rows["gain"]])
        axes.errorbar(
            rows["gain"],
            rows.index,
            xerr=ends,
            fmt=mark,
            color=color,
            capsize=3,
            markerfacecolor="none" if verdict == "no evidence" else color,
            label=verdict,
        )
    axes.axvline(0, color=NEUTRAL, linestyle="--", linewidth=1)
    axes.set_yticks(table.index, [_plain(arm) for arm in table["arm"]])
    axes.set_ylim(len(table) - 0.5, -0.5)
    return _with_legend(figure, axes)


def arm_curves(history: pd.DataFrame, entry: str) -> Figure:
    """Draw an entry of the history: the mean of each arm's runs and their spread."""
    table = prepare.arm_curves(history, entry)
    figure, axes = _axes("epoch", entry)
    color = colors(table["arm"])
    for arm, rows in table.groupby("arm", sort=False):
        axes.plot(rows["epoch"], rows["mean"], color=color[arm], label=_plain(arm))
        axes.fill_between(
            rows["epoch"],
            rows["low"].to_numpy("float64"),
            rows["high"].to_numpy("float64"),
            color=color[arm],
            alpha=0.2,
            linewidth=0,
        )
    return _with_legend(figure, axes)


def data_summary(data: Mapping[str, Any]) -> Figure:
    """Draw how many rows of each class each split has."""
    table = prepare.class_counts(data)
    figure, axes = _axes("class", "rows")
    classes, splits = list(dict.fromkeys(table["class"])), table["split"].unique()
    width = 0.8 / max(1, len(splits))
    for i, split in enumerate(splits):
        rows = table[table["split"] == split]
        places = [classes.index(name) + i * width for name in rows["class"]]
        axes.bar(places, rows["rows"], width * 0.95, color=SERIES[i], label=split)
    middle = np.arange(len(classes)) + 0.4 - width / 2
    axes.set_xticks(middle, [_plain(name) for name in classes])
    return _with_legend(figure, axes)


def teaching(
    explanation: Explanation | Mapping[str, Any],
    main: str | None = None,
    flow: Flow | None = None,
) -> Figure:
    """Draw the networks, and who learns from whom; width is gradient flow."""
    from matplotlib.patches import FancyArrowPatch

    given = explanation if isinstance(explanation, Mapping) else explanation.to_dict()
    diagram = prepare.teaching(given, main, flow)
    figure, axes = _axes("", "")
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    axes.set_axis_off()
    places = {node.name: (node.x, node.y) for node in diagram.nodes}
    color = colors(places)
    for link in diagram.links:
        start, end = places[link.source], places[link.learner]
        if link.source == link.learner:
            start, end = (end[0] - 0.12, end[1] + 0.1), (end[0] + 0.12, end[1] + 0.1)
        arrow = FancyArrowPatch(
            start,
            end,
            arrowstyle=f"-|>,head_width={2 + link.width / 2},head_length=6",
            connectionstyle=f"arc3,rad={-1.6 if link.source == link.learner else 0.16}",
            color=HARM if link.pushed else color[link.source],
            linestyle="--" if link.pushed else "-",
            linewidth=link.width / 1.6,
            shrinkA=24,
            shrinkB=26,
        )
        axes.add_patch(arrow)
    for node in diagram.nodes:
        axes.text(
            node.x,
            node.y,
            _plain(node.name),
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold" if node.main else "normal",
            bbox={
                "boxstyle": "round,pad=0.5",
                "facecolor": "white",
                "edgecolor": color[node.name],
                "linewidth": 2.4 if node.main else 1.4,
                "linestyle": "-" if node.state == "trained" else "--",
            },
        )
    return figure


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    # Not through pyplot, which would keep every figure and need a display.
    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlabel=_plain(x), ylabel=_plain(y))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def _with_legend(figure: Figure, axes: Axes) -> Figure:
    labels = axes.get_legend_handles_labels()[1]
    if max(map(len, labels), default=0) <= _LONGEST:
        if labels:
            axes.legend(frameon=False, fontsize=8)
        return figure
    # Long names would cover what they name: below, with room of their own.
    figure.set_figheight(figure.get_figheight() + 0.16 * len(labels))
    figure.legend(loc="outside lower left", frameon=False, fontsize=7)
    return figure


def _cosines(matrix: pd.DataFrame, x: str, y: str) -> Figure:
    text = matrix.map(lambda v: "" if np.isnan(v) else f"{v:.2f}").to_numpy()
    levels = matrix.to_numpy("float64")
    return _heat_map(matrix, levels, text, ("RdBu", -1.0, 1.0), (x, y))


def _heat_map(
    table: pd.DataFrame,
    levels: np.ndarray,
    text: np.ndarray,
    coloring: tuple[str, float, float],
    titles: tuple[str, str],
) -> Figure:
    figure, axes = _axes(*titles)
    name, low, high = coloring
    image = axes.imshow(levels, cmap=name, vmin=low, vmax=high, aspect="auto")
    columns, rows = list(map(_plain, table.columns)), list(map(_plain, table.index))
    if columns == rows and max(map(len, columns), default=0) > _LONGEST:
        # Long names stand once, at the rows, with numbers that the columns have.
        rows = [f"{name}  {place}" for place, name in enumerate(rows, start=1)]
        columns = [str(place) for place in range(1, len(rows) + 1)]
    # Names at the rows must not take the cells' room.
    longest = max(map(len, rows), default=0)
    figure.set_figwidth(figure.get_figwidth() + 0.05 * longest)
    axes.set_xticks(range(len(columns)), columns)
    if max(map(len, columns), default=0) > 6:
        axes.tick_params(axis="x", rotation=30)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(visible=False)
    for row, column in np.ndindex(levels.shape):
        value = levels[row, column]
        # Norms take numbers, too; they are typed for arrays only.
        level: Any = 0 if np.isnan(value) else value
        red, green, blue, _ = image.cmap(image.norm(level))
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        axes.text(
            column,
            row,
            str(text[row, column]),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else "black",
        )
    return figure


def _plain(text: object) -> str:
    """Return text as matplotlib shows it letter by letter: `$` begins a formula."""
    return str(text).replace("$", r"\$")
