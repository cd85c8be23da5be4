"""Which teacher for which case: helpers, one that sees everything, a recorded one.

Handwritten digits, 100 of 1000 training rows with a label. Three cases: helpers that
are weaker than the main network (kar with zer and mor; fac with fou and zer), and
helpers that are stronger (fou with kar and pix). All networks are trained jointly;
gains over the same networks without a transfer term, in pairs by seed, on test rows;
with the controls self-training and twin (each teacher a second network like the main
one).

    KERAS_BACKEND=jax python benchmarks/evidence/fused_teacher.py --seeds 20
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

import coloss

CASES = {"kar": ("zer", "mor"), "fac": ("fou", "zer"), "fou": ("kar", "pix")}
FUSED, EXPERT = "all", "expert"
LABELS, EPOCHS, BATCH_SIZE, VALIDATE = 100, 60, 100, 5
HERE = Path(__file__).parent


def build(views):
    """Return the networks: two hidden layers of 64 each, one reads all; and the expert.

    Args:
        views: the main one first.
    """
    members = {view: _network((view,)) for view in views}
    members[FUSED] = _network(views)
    members[EXPERT] = coloss.Recorded()
    return coloss.JointModel(members, inputs={FUSED: coloss.Inputs(*views)})


def _network(views):
    inputs = [keras.Input((coloss.data.WIDTHS[view],), name=view) for view in views]
    values = inputs[0] if len(views) == 1 else keras.layers.Concatenate()(inputs)
    for _ in range(2):
        values = keras.layers.Dense(64, activation="relu")(values)
    outputs = keras.layers.Dense(10, activation="softmax")(values)
    return keras.Model(inputs[0] if len(views) == 1 else inputs, outputs)


def rows(views, seed):
    """Return the split of a seed, with the predictions of a logistic regression on all.

    Of a row with a label they come from a model that did not see it (10 folds).

    Args:
        views: the main one first.
        seed: of the split.
    """
    split = coloss.data.load_digits_views(views, LABELS, seed)
    y = split.train[1]
    known, tables = y >= 0, [_table(p[0], views) for p in vars(split).values()]
    # Scikit-learn's default strength of the penalty.
    model = LogisticRegression(max_iter=1000).fit(tables[0][known], y[known])
    found = [model.predict_proba(table).astype("float32") for table in tables]
    found[0][known] = cross_val_predict(
        model, tables[0][known], y[known], cv=10, method="predict_proba"
    )
    parts = [
        ({**part[0], EXPERT: predicted}, part[1])
        for part, predicted in zip(vars(split).values(), found, strict=True)
    ]
    return coloss.data.Split(*parts)


def _table(x, views):
    return np.hstack([x[view] for view in views])


def arms(main, helpers):
    """Return the objectives by name; the controls are added by the study."""
    recipe = coloss.recipes.learn_from
    own = " + ".join((main, *helpers, FUSED))
    helped = f"{recipe(main, helpers)} + {FUSED}"
    return {
        "alone": own,
        "helpers": helped,
        "fused": str(recipe(main, helpers, fused=FUSED)),
        "fused, no gate": str(recipe(main, helpers, fused=FUSED, gate=None)),
        "fused and helpers": f"{recipe(main, helpers)} + {FUSED} + "
        f'distill({FUSED} >> {main}, temperature=4, gate="network")',
        "recorded": f"{own} + "
        f'distill({EXPERT} >> {main}, temperature=4, gate="network")',
    }


def study_of(main, seeds, epochs=EPOCHS):
    """Return the study of a case.

    Args:
        main: one of `CASES`.
        seeds: runs an arm.
        epochs: of each run.
    """
    views = (main, *CASES[main])
    return coloss.Study(
        lambda: build(views),
        lambda seed: rows(views, seed),
        arms(main, CASES[main]),
        compile={
            "optimizer": "adam",
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        controls={"self-training": "", "twin": "fused"},
        seeds=seeds,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        main=main,
        validation_freq=min(VALIDATE, epochs),
    )


def table(result, unit=100):
    """Return a result as Markdown.

    Args:
        result: of the study.
        unit: what figures are multiplied with: 100 for points of accuracy.
    """
    validation = result.frame.groupby("arm")[f"validation_{result.metric}"].mean()
    digits = 1 if unit == 100 else 3
    lines = [
        "| arm | validation | test | gain | 95 % interval | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for arm, row in (
        result.compare().sort_values("gain", na_position="first").iterrows()
    ):
        means = [
            f"{unit * value:.{digits}f}" for value in (validation[arm], row["mean"])
        ]
        if arm == result.baseline:
            lines.append(f"| {arm} | {' | '.join(means)} | | | |")
            continue
        low, high = (f"{unit * row[end]:+.{digits}f}" for end in ("low", "high"))
        gain = f"{unit * row['gain']:+.{digits}f}"
        cells = [*means, gain, f"{low} to {high}", row["verdict"]]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Run the studies, print the tables, and write them beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--store", type=Path, help="folder; finished runs are kept")
    chosen = parser.parse_args()
    text = (
        "# Which teacher for which case\n\nMade by `python "
        f"benchmarks/evidence/fused_teacher.py --seeds {chosen.seeds}`.\n\n"
        f"{LABELS} labels of 1000 rows, {EPOCHS} epochs, {chosen.seeds} seeds; "
        "accuracy of the main network in %, gains over `alone` in points, intervals "
        "for all arms of a table together. `fused` is `learn_from(..., fused=)`; "
        "`twin` is `fused` with second main networks in the place of all others; "
        "`recorded` is a logistic regression on all inputs.\n"
    )
    for case in chosen.cases:
        store = chosen.store and chosen.store / f"{case}.sqlite"
        result = study_of(case, chosen.seeds).run(path=store, verbose=False)
        title = f"## {case} with {' and '.join(CASES[case])}"
        text += f"\n{title}\n\n{table(result)}\n\n{result.verdict}\n"
        print(text)
        (HERE / "fused_teacher.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
