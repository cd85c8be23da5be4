"""Weightings and aggregators on Multiple Features: is any better than equal weights?

100 labels of 1000 rows, main network fou with helpers kar and pix. Two settings:
separate networks with transfer terms, whose gradients meet in fou; and one trunk shared
by all three behind a layer of each, whose gradients meet in the trunk. Each method over
paired seeds beside equal weights, random weights and a tuned grid (chosen on validation
rows, reported on test rows).

    KERAS_BACKEND=jax python benchmarks/evidence/weightings.py --seeds 10
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import pandas as pd
from digit_arms import builder, digits

import coloss

VIEWS = ("fou", "kar", "pix")
HERE = Path(__file__).parent
SETTINGS = {
    "separate networks": ("kar", "pix", "distill(kar >> fou)", "distill(pix >> fou)"),
    "shared trunk": ("kar", "pix"),
}
"""The summands beside `fou`."""

GRID = [0.1, 0.3, 1.0, 3.0]
WEIGHTINGS = (
    "random_weights", "uncertainty", "dwa", "geometric_mean", "imtll", "famo",
    "gradnorm", "minimax", "ogmge", "agm", "gradient_blending", "mmpareto",
)  # fmt: skip
AGGREGATORS = (
    "mean", "random", "mgda", "pcgrad", "gradvac", "imtlg", "cagrad", "nashmtl",
    "alignedmtl", "dualproj", "upgrad",
)  # fmt: skip


def trunk():
    """Return a joint model whose members share two layers of 64."""
    shared = [keras.layers.Dense(64, activation="relu") for _ in range(2)]

    def member(view):
        inputs = keras.Input((coloss.data.WIDTHS[view],))
        hidden = keras.layers.Dense(64, activation="relu")(inputs)
        for layer in shared:
            hidden = layer(hidden)
        outputs = keras.layers.Dense(10, activation="softmax")(hidden)
        return keras.Model(inputs, outputs, name=view)

    return coloss.JointModel({view: member(view) for view in VIEWS}, fuse="mean")


def arms_of(setting):
    """Return the arms by name: equal first, then the controls, then the methods."""
    others = SETTINGS[setting]
    equal = " + ".join(("fou", *others))
    main = coloss.aggregation.PCD(primary="fou")
    grid = " + ".join(("fou", *(f"w*{part}" for part in others)))
    found = {"equal": equal, "tuned grid": grid}
    for name in WEIGHTINGS:
        found[f"weighting {name}"] = {"objective": equal, "weighting": name}
    for name in AGGREGATORS:
        found[f"aggregator {name}"] = {"objective": equal, "aggregator": name}
    found["aggregator pcd, fou leads"] = {"objective": equal, "aggregator": main}
    return found


def study_of(setting, seeds, epochs, only=None):
    """Return the study of one setting.

    Args:
        setting: a key of `SETTINGS`.
        seeds: runs an arm.
        epochs: of each run.
        only: names of arms beside "equal"; None: all.
    """
    arms = arms_of(setting)
    if only:
        arms = {name: arm for name, arm in arms.items() if name in ("equal", *only)}
    return coloss.Study(
        builder(VIEWS) if setting == "separate networks" else trunk,
        digits(VIEWS),
        arms,
        compile={
            "optimizer": "adam",
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        coefficients={"w": GRID} if "tuned grid" in arms else {},
        seeds=seeds,
        epochs=epochs,
        batch_size=100,
        main="fou",
        validation_freq=min(5, epochs),
    )


def compared(setting, result):
    """Return one row an arm and prediction (main or fused), in points."""
    tables = []
    for what in ("fou_accuracy", "fused_accuracy"):
        table = result.compare("equal", metric=what).reset_index()
        table.insert(0, "prediction", what.removesuffix("_accuracy"))
        table.insert(0, "setting", setting)
        tables.append(table)
    found = pd.concat(tables, ignore_index=True)
    found[["mean", "mean_low", "mean_high", "gain", "low", "high"]] *= 100.0
    return found.drop(columns=["bootstrap_low", "bootstrap_high"])


def page(table, args):
    """Return the table as Markdown, a verdict a method."""
    lines = [
        "# Weightings and aggregators on Multiple Features",
        "",
        "Accuracy on test rows in points, and gains over equal weights in pairs by",
        "seed, with 95 % intervals for all arms of a table together.",
        f"{args.seeds} seeds, {args.epochs} epochs, Adam, batches of 100, 100 labels.",
    ]
    for (setting, prediction), rows in table.groupby(
        ["setting", "prediction"], sort=False
    ):
        lines += ["", f"## {setting}: {prediction}", ""]
        lines += ["| arm | accuracy | gain | verdict |", "|---|---|---|---|"]
        for row in rows.itertuples():
            gain = f"{row.gain:+.1f} [{row.low:+.1f}, {row.high:+.1f}]"
            gain = "" if row.verdict == "baseline" else gain
            lines.append(f"| {row.arm} | {row.mean:.1f} | {gain} | {row.verdict} |")
    return "\n".join(lines) + "\n"


def main(given=None):
    """Run what is asked for, and write CSV and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--arms", nargs="*", help="beside equal; default: all")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--runs", type=Path, help="folder of finished runs, to go on")
    args = parser.parse_args(given)
    tables = []
    for setting in args.settings:
        store = args.runs and args.runs / f"{setting.split()[0]}.sqlite"
        study = study_of(setting, args.seeds, args.epochs, args.arms)
        tables.append(compared(setting, study.run(path=store)))
    table = pd.concat(tables)
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out / "weightings.csv", index=False, float_format="%.4g")
    text = page(table, args)
    (args.out / "weightings.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
