"""Every transfer term on Multiple Features: what helps, and what harms.

Four main networks with their helpers, 100, 300 and 1000 labels of 1000 rows, and 40 %
wrong labels; main and fused prediction; gains over the same networks without a
transfer term, in pairs by seed. Weights to try are chosen on validation rows.

    KERAS_BACKEND=jax python benchmarks/evidence/multiple_features.py --seeds 20
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from digit_arms import BLOCK, CASES, PAIRS, arms, builder, digits, seeds_of
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

import coloss
from coloss.study import StudyResult, mean_interval

EPOCHS, BATCH_SIZE, VALIDATE = 25, 100, 5
HERE = Path(__file__).parent


def study_of(pair, seeds, epochs, cases, only=None):
    """Return the study of one main network.

    Args:
        pair: a key of `PAIRS`.
        seeds: runs a case and arm.
        epochs: of each run.
        cases: keys of `CASES`.
        only: names of arms; None: all.
    """
    main, helpers = PAIRS[pair]
    views = (main, *helpers)
    data = digits(views)
    chosen, coefficients = arms(main, helpers, data)
    if only is not None:
        chosen = {name: arm for name, arm in chosen.items() if name in only}
    text = str(chosen)
    coefficients = {n: v for n, v in coefficients.items() if f"{n}*" in text}
    return coloss.study.Study(
        builder(views),
        data,
        chosen,
        compile={
            "optimizer": "adam",
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        coefficients=coefficients,
        seeds=[seed for case in cases for seed in seeds_of(case, seeds)],
        epochs=epochs,
        batch_size=BATCH_SIZE,
        main=main,
        validation_freq=min(VALIDATE, epochs),
    )


def by_case(result, case):
    """Return the part of a result that belongs to a case."""
    start = list(CASES).index(case) * BLOCK
    records = [r for r in result.records if start <= r.run.seed < start + BLOCK]
    return StudyResult(
        records,
        result.objectives,
        main=result.main,
        metric=result.metric,
        direction=result.direction,
        baseline=result.baseline,
    )


def compared(pair, result, cases):
    """Return one row an arm, case and prediction (main or fused), in points."""
    tables = []
    for case in cases:
        part = by_case(result, case)
        for what in (result.metric, "fused_accuracy"):
            table = part.compare("alone", metric=what).reset_index()
            table.insert(0, "prediction", what.removesuffix("_accuracy"))
            table.insert(0, "case", case)
            table.insert(0, "pair", pair)
            tables.append(table)
    found = pd.concat(tables, ignore_index=True)
    points = ["mean", "mean_low", "mean_high", "gain", "low", "high"]
    found[points] *= 100.0
    return found.drop(columns=["bootstrap_low", "bootstrap_high"])


def on_validation(pair, result, cases):
    """Return gains on validation rows, in points: what the recipe is chosen by.

    One row an arm, case and prediction; test rows are not looked at.
    """
    rows = []
    for case in cases:
        part = by_case(result, case)
        for what in (result.metric, "fused_accuracy"):
            column = f"validation_{what}"
            alone = part.selected("alone")[column]
            for arm in part.objectives:
                gain = 100.0 * (part.selected(arm)[column] - alone).mean()
                prediction = what.removesuffix("_accuracy")
                rows.append((pair, case, prediction, arm, gain))
    return pd.DataFrame(rows, columns=["pair", "case", "prediction", "arm", "gain"])


def references(pair, seeds, cases):
    """Return the test accuracy of scikit-learn's models, one row a case and model."""
    main, helpers = PAIRS[pair]
    models = {
        "logistic regression": lambda: LogisticRegression(max_iter=2000),
        "SVM": lambda: SVC(),
    }
    rows = []
    for case in cases:
        splits = [digits((main, *helpers))(seed) for seed in seeds_of(case, seeds)]
        for inputs, views in (("main", (main,)), ("all views", (main, *helpers))):
            for name, model in models.items():
                found = [_accuracy(model(), split, views) for split in splits]
                mean, low, high = mean_interval(found)
                rows.append((pair, case, name, inputs, mean, low, high))
    columns = ["pair", "case", "model", "inputs", "mean", "mean_low", "mean_high"]
    return pd.DataFrame(rows, columns=columns)


def _accuracy(model, split, views):
    x, y = split.train
    known = y >= 0
    model.fit(_joined(x, views)[known], y[known])
    x, y = split.test
    return 100.0 * np.mean(model.predict(_joined(x, views)) == y)


def _joined(x, views):
    return np.hstack([x[view] for view in views])


def main(given=None):
    """Run what is asked for, and write CSV and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--arms", nargs="*", default=None)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--runs", type=Path, help="folder of finished runs, to go on")
    args = parser.parse_args(given)
    tables, gains, others = [], [], []
    for pair in args.pairs:
        store = args.runs and args.runs / f"{PAIRS[pair][0]}.sqlite"
        study = study_of(pair, args.seeds, args.epochs, args.cases, args.arms)
        result = study.run(path=store)
        tables.append(compared(pair, result, args.cases))
        gains.append(on_validation(pair, result, args.cases))
        others.append(references(pair, args.seeds, args.cases))
    from digit_tables import write

    write(args, pd.concat(tables), pd.concat(gains), pd.concat(others))


if __name__ == "__main__":
    main()
