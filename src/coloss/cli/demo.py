"""`coloss demo`: five ways to train three networks on real digits, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from coloss.cli.demo_runs import (
    ARMS,
    BEST,
    CONTROL,
    HELPERS,
    MAIN,
    PAPER,
    TWIN,
    VIEWS,
    demo_study,
    explanations,
)
from coloss.cli.spreadsheet import write_table
from coloss.names import counted
from coloss.report import write_study
from coloss.study import StudyResult
from coloss.study.statistics import GAINED
from coloss.writing import whole


def run_demo(output: Path, seeds: int, epochs: int) -> None:
    """Explain and train every arm, print the table, write the files.

    Args:
        output: folder to write to; made if it does not exist.
        seeds: paired runs of each arm.
        epochs: of each run.
    """
    console = Console()
    console.print(
        f"[bold]Main network {MAIN!r}[/] (Fourier coefficients of handwritten digits) "
        f"with helpers {' and '.join(map(repr, HELPERS))}: 1000 training rows, of "
        f"which 100 are labeled. {counted(seeds, 'paired run')} of each arm."
    )
    study = demo_study(seeds, epochs)
    for arm, found in explanations(study).items():
        if arm == TWIN:
            console.rule(f"[bold]{arm}[/], as {BEST!r}", align="left")
            console.print(
                f"Each helper is replaced by a second network like {MAIN!r}, of the "
                "same input: a gain that this has, too, came from no other input."
            )
            continue
        console.rule(f"[bold]{arm}[/]: {ARMS[arm]}", align="left")
        console.print(str(found), markup=False, highlight=False)
    result = study.run(references=True)
    table = summarize(result)
    console.print(_drawn(table))
    console.print(_beside(result.references))
    output.mkdir(parents=True, exist_ok=True)
    write_table(table, output / "table.csv")
    write_table(result.frame, output / "runs.csv")
    draw_curves(result, output / "learning_curves.png")
    page = write_study(
        result, output / "report.html", "Five ways to train three networks"
    )
    # The taught run that is best on validation rows.
    saved = output / f"{MAIN}.keras"
    study.retrain(result.best(BEST))[MAIN].save(saved)
    console.print(f"\n{_answer(table)}")
    console.print(f"Main network (a plain Keras model): {saved}", highlight=False)
    console.print(
        f"Table: {output / 'table.csv'}   Curves: {output / 'learning_curves.png'}",
        highlight=False,
    )
    console.print(f"Report, to open in a browser: {page}", highlight=False)


def summarize(result: StudyResult) -> pd.DataFrame:
    """Return one row an arm: test accuracies, and the main network's paired gain.

    Args:
        result: of the demo's study.
    """
    means = result.frame.groupby("arm", sort=False)[
        [f"test_{view}_accuracy" for view in VIEWS]
    ].mean()
    means.columns = pd.Index(VIEWS)
    shown = ["gain", "low", "high", "verdict"]
    gains = result.compare()[shown]
    gains.columns = pd.Index(["gain", "gain_low", "gain_high", "verdict"])
    table = means.join(gains)
    ends = ("", "_low", "_high", "_verdict")
    for control, name in _OVER.items():
        over = result.compare(control).loc[[BEST], shown]
        over.columns = pd.Index([f"{name}{end}" for end in ends])
        table = table.join(over)
    return table.reset_index()


_OVER = {CONTROL: "over_self_training", TWIN: "over_twin"}


def _drawn(table: pd.DataFrame) -> Table:
    drawn = Table(title="Test accuracy (600 digits), mean over the runs")
    drawn.add_column("arm")
    for view in VIEWS:
        drawn.add_column(f"{view} (main)" if view == MAIN else view, justify="right")
    drawn.add_column(f"gain of {MAIN}, points [95 % interval]", justify="right")
    for row in table.to_dict("records"):
        cells = [f"{row[view]:.3f}" for view in VIEWS]
        drawn.add_row(row["arm"], *cells, _interval(row, "gain"))
    return drawn


def _beside(references: pd.DataFrame) -> str:
    found = [f"{name} {row['mean']:.3f}" for name, row in references.iterrows()]
    return "scikit-learn, on the labeled rows: " + "; ".join(found) + "."


def _interval(row: dict, name: str) -> str:
    if np.isnan(row[name]):
        return "-"
    low, high = 100 * row[f"{name}_low"], 100 * row[f"{name}_high"]
    return f"{100 * row[name]:+.1f} [{low:+.1f}, {high:+.1f}]"


def _answer(table: pd.DataFrame) -> str:
    rows = table.set_index("arm", drop=False)
    taught = rows.loc[BEST].to_dict()
    paper = rows.loc[PAPER].to_dict()
    rivals = ["verdict", *(f"{name}_verdict" for name in _OVER.values())]
    gained = all(taught[verdict] == GAINED for verdict in rivals)
    over = [
        f"{_interval(taught, name)} over {control}" for control, name in _OVER.items()
    ]
    return (
        f"[bold]Did the main network gain?[/] {'Yes' if gained else 'No evidence'}. "
        f"Taught by its helpers: {_interval(taught, 'gain')} points over alone, "
        f"{', '.join(over)}. "
        f"The formula on paper: {_interval(paper, 'gain')}."
    )


def draw_curves(result: StudyResult, path: Path) -> None:
    """Draw the main network's validation accuracy by epoch, one line an arm.

    Args:
        result: of the demo's study.
        path: the PNG to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    column = f"val_{MAIN}_accuracy"
    measured = result.history.dropna(subset=[column])
    for arm, rows in measured.groupby("arm", sort=False):
        curves = rows.groupby("epoch")[column]
        mean, spread = curves.mean(), curves.std(ddof=0)
        # The formula on paper lies exactly on its baseline.
        style = "--" if arm == PAPER else "-"
        (line,) = axes.plot(mean.index + 1, mean, style, label=arm)
        axes.fill_between(
            mean.index + 1,
            mean - spread,
            mean + spread,
            alpha=0.15,
            color=line.get_color(),
        )
    axes.set(xlabel="epoch", ylabel=f"validation accuracy of {MAIN!r}")
    seeds = result.frame["seed"].nunique()
    axes.set_title(f"Main network, mean and spread of {counted(seeds, 'run')}")
    axes.legend()
    with whole(path) as partial:
        figure.savefig(partial, dpi=150)
    plt.close(figure)
