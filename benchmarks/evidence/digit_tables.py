"""The tables of Multiple Features as Markdown and CSV."""

from __future__ import annotations

import pandas as pd

INTRODUCTION = """# Every transfer term on Multiple Features

Accuracy on 600 test rows in points: the main network, and the fused prediction (mean
of the networks' probabilities). Gains are over `alone`: the same networks, each with
its own loss only. Pairs by seed (split, initial weights, order of rows); intervals are
95 % for all arms of a column together (Bonferroni). **Bold**: gained. _Italic_:
harmed. Weights `w` (1, 3) and `v`
(1, 30) are chosen on validation rows.

Two hidden layers of 64 for each view, Adam, {epochs} epochs of 1000 rows in batches of
{batch}, {seeds} seeds. Of the 1000 rows 100, 300 or all have a label; with 40 % wrong
labels the validation labels are wrong as well. `attention` is not here: it compares
positions, and these layers have none.

Written by `KERAS_BACKEND=jax python benchmarks/evidence/multiple_features.py --seeds
{seeds}`; all figures are in `multiple_features.csv` and `references.csv`.
"""


CHOICE = """## What the recipe is chosen by

Gains over `alone` on **validation** rows, in points, over all pairs and cases: of the
main network in the mean, and the least of any pair and case, main and fused. The
default of `recipes.learn_from` is the arm with the greatest mean among those that never
lose more than {least} points.
"""

LEAST = -0.5


def write(args, table, gains, references):
    """Write the tables, and the page that shows them.

    Args:
        args: `out`, `seeds`, `epochs`.
        table: one row an arm, case and prediction.
        gains: the same, of validation rows.
        references: one row a case and model.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out / "multiple_features.csv", index=False, float_format="%.4g")
    references.to_csv(args.out / "references.csv", index=False, float_format="%.4g")
    parts = [INTRODUCTION.format(epochs=args.epochs, batch=100, seeds=args.seeds)]
    for pair, rows in table.groupby("pair", sort=False):
        parts.append(f"## {pair}\n")
        for prediction, some in rows.groupby("prediction", sort=False):
            parts.append(f"{_title(prediction)}\n\n{_gains(some)}\n")
        parts.append(_references(references[references["pair"] == pair]))
    parts.append(choice(gains))
    text = "\n".join(parts)
    (args.out / "multiple_features.md").write_text(text)
    print(text)


def choice(gains):
    """Return the table of gains on validation rows, the best arm first."""
    lines = [
        _line(["arm", "mean", "least, main", "least, fused", "never below"]),
        _line(["---"] * 5),
    ]
    rows = []
    for arm, some in gains[gains["arm"] != "alone"].groupby("arm"):
        by = some.groupby("prediction")["gain"].min()
        fused = by.pop("fused")
        main = some[some["prediction"] != "fused"]["gain"]
        rows.append((arm, main.mean(), by.min(), fused))
    for arm, mean, main, fused in sorted(rows, key=lambda row: -row[1]):
        safe = "yes" if min(main, fused) >= LEAST else "no"
        lines.append(
            _line([arm, f"{mean:+.1f}", f"{main:+.1f}", f"{fused:+.1f}", safe])
        )
    return CHOICE.format(least=-LEAST) + "\n" + "\n".join(lines) + "\n"


def _title(prediction):
    if prediction == "fused":
        return "The fused prediction:"
    return f"The main network, `{prediction}`:"


def _gains(rows):
    """Return one line an arm, one column a case."""
    cases = list(dict.fromkeys(rows["case"]))
    lines = [_line(["arm", *cases]), _line(["---"] * (len(cases) + 1))]
    for arm, some in rows.groupby("arm", sort=False):
        cells = {row.case: _cell(row) for row in some.itertuples()}
        lines.append(_line([arm, *(cells[case] for case in cases)]))
    return "\n".join(lines)


def _cell(row):
    if row.verdict == "baseline":
        return f"{row.mean:.1f}"
    mark = {"gained": "**", "harmed": "_"}.get(row.verdict, "")
    point = f" ({row.point})" if row.point else ""
    gain = f"{mark}{row.gain:+.1f}{mark} [{row.low:+.1f}, {row.high:+.1f}]"
    return gain + point


def _references(rows):
    cases = list(dict.fromkeys(rows["case"]))
    lines = [_line(["reference", *cases]), _line(["---"] * (len(cases) + 1))]
    for (model, inputs), some in rows.groupby(["model", "inputs"], sort=False):
        means = [f"{mean:.1f}" for mean in some["mean"]]
        lines.append(_line([f"{model}, {inputs}", *means]))
    return "For comparison, scikit-learn on labeled rows:\n\n" + "\n".join(lines) + "\n"


def _line(cells):
    return f"| {' | '.join(map(str, cells))} |"


def load(folder):
    """Return the table that was written to a folder."""
    return pd.read_csv(folder / "multiple_features.csv")
