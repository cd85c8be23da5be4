"""Teachers of leaves and of air pollution: data that are not in the package.

* One-hundred plant species leaves (UCI, CC BY 4.0), 4 labels a class: the shape of a
  leaf, the weakest view, taught by margin and texture; the margin by shape and texture.
* PM2.5 of two cities (UCI, CC BY 4.0): the main network sees the measurements of now,
  its teachers those of the 8 hours to come, which nobody has at the time of use.
  Beside it ridge regression and LuPTS (Karlsson et al. 2022, arXiv:2110.14993).

    KERAS_BACKEND=jax python benchmarks/evidence/other_data.py --data FOLDER --seeds 20

reads `leaves100.npz` (`view1` to `view3`, `species`) and `pm25_CITY.npz` (`hours_0`,
`hours_2_to_8`, `pm25_after_10_hours`) in FOLDER.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from fused_teacher import table

import coloss

FUSED = "all"
VIEWS = {"margin": "view1", "shape": "view2", "texture": "view3"}
NOW, LATER = "now", "later"
CITIES = ("beijing", "chengdu")
VALIDATION, TEST, UNLABELED = 200, 1000, 1000
HERE = Path(__file__).parent


def network(widths, outputs, units, activation=None):
    """Return a network of one hidden layer that reads one or several inputs."""
    inputs = [keras.Input((width,), name=name) for name, width in widths.items()]
    values = inputs[0] if len(inputs) == 1 else keras.layers.Concatenate()(inputs)
    values = keras.layers.Dense(units, activation="relu")(values)
    outputs = keras.layers.Dense(outputs, activation)(values)
    return keras.Model(inputs[0] if len(inputs) == 1 else inputs, outputs)


def build(widths, outputs, units, activation=None):
    """Return the networks of each input, and one that reads all.

    Args:
        widths: of each input, the main one first.
        outputs: of every network.
        units: of the hidden layer.
        activation: of the output.
    """
    members = {
        name: network({name: width}, outputs, units, activation)
        for name, width in widths.items()
    }
    members[FUSED] = network(widths, outputs, units, activation)
    return coloss.JointModel(members, inputs={FUSED: coloss.Inputs(*widths)})


def arms(main, helpers, task):
    """Return the objectives by name."""
    recipe = coloss.recipes.learn_from
    return {
        "alone": " + ".join((main, *helpers, FUSED)),
        "helpers": f"{recipe(main, helpers, task=task)} + {FUSED}",
        "fused": str(recipe(main, helpers, fused=FUSED, task=task)),
    }


def leaves(folder, seed, labels=4):
    """Return a split of the leaves: 16 of each species.

    Args:
        folder: of the file.
        seed: of the split.
        labels: training rows of each species that keep theirs, of 10; 3 rows are for
            validation, 3 for test.
    """
    with np.load(folder / "leaves100.npz") as file:
        _, y = np.unique(file["species"], return_inverse=True)
        x = {name: file[key].astype("float64") for name, key in VIEWS.items()}
    random = np.random.default_rng(seed)
    order = np.stack([random.permutation(np.flatnonzero(y == one)) for one in set(y)])
    parts = [random.permutation(part.ravel()) for part in np.split(order, [10, 13], 1)]
    known = np.isin(parts[0], order[:, :labels])
    scaled = {name: _scaled(values, parts[0]) for name, values in x.items()}

    def part(rows):
        return {name: values[rows] for name, values in scaled.items()}, y[rows]

    first = part(parts[0])
    train = first[0], np.where(known, first[1], -1)
    return coloss.data.Split(train, part(parts[1]), part(parts[2]))


def pollution(folder, city, seed, labels):
    """Return a split of a city; targets have mean 0 and standard deviation 1.

    Args:
        folder: of the file.
        city: one of `CITIES`.
        seed: of the split.
        labels: rows to train on that have one, at most; 1000 more have none.
    """
    with np.load(folder / f"pm25_{city}.npz") as file:
        y = file["pm25_after_10_hours"].astype("float64")
        later = file["hours_2_to_8"].astype("float64")
        x = {NOW: file["hours_0"].astype("float64"), LATER: later.reshape(len(y), -1)}
    order = np.random.default_rng(seed).permutation(len(y))
    test, validation, rest = np.split(order, [TEST, TEST + VALIDATION])
    train = rest[: labels + UNLABELED]
    known = np.arange(len(train)) < labels
    y = (y - y[train[known]].mean()) / y[train[known]].std()
    scaled = {name: _scaled(values, train) for name, values in x.items()}

    def part(rows):
        found = {name: values[rows] for name, values in scaled.items()}
        return found, y[rows].astype("float32")

    first = part(train)
    return coloss.data.Split(
        (first[0], np.where(known, first[1], np.nan)), part(validation), part(test)
    )


def _scaled(values, rows):
    scale = coloss.data.Standardizer.fit(values[rows])
    return scale(values).astype("float32")


def lupts(split, hours=4):
    """Return R2 on test rows of LuPTS, and of the same with unlabeled sequences.

    Each hour is regressed on the one before, the target on the last; their product
    predicts from the first. Linear least squares.

    Args:
        split: of `pollution`.
        hours: that come later.
    """
    (x, y), known = split.train, ~np.isnan(split.train[1])
    steps = [x[NOW], *np.split(x[LATER], hours, axis=1)]
    steps = [_with_one(step) for step in steps]
    found = []
    for rows in (known, np.ones(len(y), bool)):
        product = np.linalg.lstsq(steps[-1][known], y[known], rcond=None)[0]
        for before, after in zip(steps[-2::-1], steps[:0:-1], strict=True):
            step = np.linalg.lstsq(before[rows], after[rows], rcond=None)[0]
            product = step @ product
        test, truth = split.test
        error = truth - _with_one(test[NOW]) @ product
        found.append(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum())
    return found


def _with_one(values):
    return np.hstack([values, np.ones((len(values), 1))]).astype("float64")


def study_of(data, widths, task, outputs, seeds, epochs):
    """Return a study; the main network is the first of `widths`."""
    main, *helpers = widths
    classes = task == "classification"
    loss = "sparse_categorical_crossentropy" if classes else "mean_squared_error"
    units, activation = (128, "softmax") if classes else (32, None)
    return coloss.Study(
        lambda: build(widths, outputs, units, activation),
        data,
        arms(main, helpers, task),
        compile={
            "optimizer": "adam",
            "loss": loss,
            "metrics": ["accuracy"] if classes else ["r2", "rmse"],
        },
        controls=["self-training", "twin"] if classes else ["twin"],
        seeds=seeds,
        epochs=epochs,
        batch_size=100,
        main=main,
        validation_freq=min(5, epochs),
        patience=4,
    )


def _pollution_text(folder, city, labels, seeds, epochs):
    splits = [pollution(folder, city, seed, labels) for seed in range(seeds)]
    widths = {name: values.shape[1] for name, values in splits[0].train[0].items()}
    found = study_of(splits.__getitem__, widths, "regression", 1, seeds, epochs)
    result = found.run(verbose=False, references=True)
    rows = int(np.isfinite(splits[0].train[1]).sum())
    means = np.mean([lupts(split) for split in splits], axis=0)
    beside = [f"{n} {row['mean']:.3f}" for n, row in result.references.iterrows()]
    beside += [f"LuPTS {means[0]:.3f}", f"with unlabeled sequences {means[1]:.3f}"]
    unlabeled = len(splits[0].train[1]) - rows
    return (
        f"\n## PM2.5, {city}: {rows} labels, {unlabeled} rows without (R2)\n\n"
        f"{table(result, 1)}\n\nBeside it: {', '.join(beside)}.\n\n{result.verdict}\n"
    )


def _leaves_text(folder, view, seeds, epochs):
    helpers = [name for name in VIEWS if name != view]
    widths = dict.fromkeys((view, *helpers), 64)

    def data(seed):
        return leaves(folder, seed)

    found = study_of(data, widths, "classification", 100, seeds, epochs)
    result = found.run(verbose=False, references=True)
    beside = [f"{n} {100 * r['mean']:.1f}" for n, r in result.references.iterrows()]
    return (
        f"\n## Leaves: {view} with {' and '.join(helpers)}, 400 labels of 1000 rows "
        f"(accuracy, %)\n\n{table(result)}\n\nBeside it: {', '.join(beside)}.\n\n"
        f"{result.verdict}\n"
    )


def main():
    """Run the studies, print the tables, and write them beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=60)
    chosen = parser.parse_args()
    text = (
        "# Teachers of other data\n\nMade by `python benchmarks/evidence/other_data.py "
        f"--data FOLDER --seeds {chosen.seeds}`.\n\n{chosen.seeds} seeds; gains over "
        "`alone`, intervals for all arms of a table together.\n"
    )
    for city in CITIES:
        for labels in (120, 3000):
            text += _pollution_text(
                chosen.data, city, labels, chosen.seeds, chosen.epochs
            )
            print(text, flush=True)
            (HERE / "other_data.md").write_text(text, "utf-8")
    for view in ("shape", "margin"):
        text += _leaves_text(chosen.data, view, chosen.seeds, chosen.epochs)
        print(text, flush=True)
        (HERE / "other_data.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
