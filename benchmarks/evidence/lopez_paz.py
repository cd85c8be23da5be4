"""Privileged information: the four synthetic experiments of Lopez-Paz et al.

"Unifying distillation and privileged information", ICLR 2016: a teacher sees x*, which
exists only while training; a student that sees x learns its soft labels alone
(temperature 1, imitation 1). d = 50, 200 rows to train, 1000 to test, 100 repetitions,
softmax regressions.

The set-up is that of the authors' published program: standardized inputs, RMSprop at
0.001, batches of 128, 1000 epochs, which is not a converged fit. Of experiment 4 there
are three readings, and all are run:

- "4", the three largest features of each row. A comment in the program; the threshold
  at the median, which the program uses here only, is what it needs. Taken as the
  paper's, because it is the one with the paper's means and spreads.
- "4 as run": three features drawn once for the training and once for the test rows;
  what the published program does.
- "4 as written": features drawn anew for each row, their weights with them; the
  paper's formula. No linear teacher can know which weights a row has.

Run: KERAS_BACKEND=jax python benchmarks/evidence/lopez_paz.py
"""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import population

D, J, TRAIN, TEST, EPOCHS, BATCH = 50, 3, 200, 1000, 1000, 128
NETWORKS = ("privileged", "plain", "distilled")
# Mean and standard deviation over 100 repetitions, in whole points, as published.
PAPER = {
    "1": ((96, 0), (88, 1), (95, 1)),
    "2": ((90, 1), (68, 1), (70, 1)),
    "3": ((98, 0), (89, 1), (97, 1)),
    "4": ((96, 2), (55, 3), (56, 4)),
}
ROUNDING, PAPER_RUNS = 0.5, 100


def clean_labels(random, alpha, rows):
    """x* is the distance to the hyperplane; the labels are noisy."""
    x = random.normal(size=(rows, D))
    distance = x @ alpha
    return x, distance[:, None], distance + random.normal(size=rows) > 0


def clean_features(random, alpha, rows):
    """x* is x without the noise."""
    clean = random.normal(size=(rows, D))
    return clean + random.normal(size=(rows, D)), clean, clean @ alpha > 0


def relevant_features(random, alpha, rows):
    """x* is the three features that decide, the same in all rows."""
    x = random.normal(size=(rows, D))
    return x, x[:, :J], x[:, :J] @ alpha[:J] > 0


def relevant_by_data_set(random, alpha, rows):
    """x* is three features, others in the training than in the test rows."""
    x = random.normal(size=(rows, D))
    chosen = x[:, random.permutation(D)[:J]]
    score = chosen @ alpha[:J]
    return x, chosen, score > np.median(score)


def largest_by_row(random, alpha, rows):
    """x* is the three largest features of each row, in falling order."""
    x = random.normal(size=(rows, D))
    largest = np.sort(x, axis=1)[:, ::-1][:, :J]
    score = largest @ alpha[:J]
    return x, largest, score > np.median(score)


def relevant_by_row(random, alpha, rows):
    """x* is three features, drawn anew for each row; the weights go with them."""
    x = random.normal(size=(rows, D))
    chosen = random.permuted(np.tile(np.arange(D), (rows, 1)), axis=1)[:, :J]
    values = np.take_along_axis(x, chosen, axis=1)
    return x, values, np.sum(values * alpha[chosen], axis=1) > 0


EXPERIMENTS = {
    "1": ("clean labels", clean_labels),
    "2": ("clean features", clean_features),
    "3": ("relevant features", relevant_features),
    "4": ("largest features of each row", largest_by_row),
    "4 as run": ("other features in test rows", relevant_by_data_set),
    "4 as written": ("other features in each row", relevant_by_row),
}


def draw(make, repetitions, seed):
    """Return (x, x*, y) to train and to test; one axis of repetitions each."""
    parts = [], []
    for repetition in range(repetitions):
        random = np.random.default_rng([seed, repetition])
        alpha = random.normal(size=D)
        for part, rows in zip(parts, (TRAIN, TEST), strict=True):
            part.append(make(random, alpha, rows))
    train, test = ([np.stack(c) for c in zip(*p, strict=True)] for p in parts)
    for column in (0, 1):
        mean = train[column].mean(axis=1, keepdims=True)
        scale = train[column].std(axis=1, keepdims=True)
        for part in (train, test):
            part[column] = ((part[column] - mean) / scale).astype("float32")
    for part in (train, test):
        part[2] = part[2].astype("int32")
    return train, test


def networks(width, names):
    """Return a function that builds softmax regressions by name."""

    def build():
        widths = {name: width if name == "privileged" else D for name in names}
        return {
            name: keras.Sequential([keras.Input((size,)), keras.layers.Dense(2)])
            for name, size in widths.items()
        }

    return build


def accuracies(number, repetitions, epochs):
    """Return the test accuracies of one experiment by arm, (repetitions,) each."""
    train, test = draw(EXPERIMENTS[number][1], repetitions, seed=int(number[0]))
    width = train[1].shape[-1]
    keras.utils.set_random_seed(int(number[0]))
    start = population.initial_weights(networks(width, NETWORKS), repetitions)

    def fit(objective, weights, frozen=()):
        x = {n: train[1] if n == "privileged" else train[0] for n in weights}
        return population.train(
            networks(width, tuple(weights)),
            objective,
            keras.optimizers.RMSprop(0.001, epsilon=1e-6),
            (x, train[2]),
            weights,
            epochs=epochs,
            batch_size=BATCH,
            seed=int(number[0]),
            frozen=frozen,
        )

    alone = fit("privileged + plain", {n: start[n] for n in ("privileged", "plain")})
    teach = "distill(privileged >> distilled, temperature=1)"
    pair = {"privileged": alone["privileged"], "distilled": start["distilled"]}
    taught = fit(teach, pair, frozen=("privileged",))
    both = fit(f"privileged + {teach}", {n: start[n] for n in pair})
    found = {
        "privileged": (alone["privileged"], test[1]),
        "plain": (alone["plain"], test[0]),
        "distilled": (taught["distilled"], test[0]),
        "distilled_jointly": (both["distilled"], test[0]),
    }
    return {
        arm: population.accuracy(networks(width, (arm,)), arm, weights, x, test[2])
        for arm, (weights, x) in found.items()
    }


def run(numbers, repetitions, epochs):
    """Return one row an experiment, repetition and arm."""
    rows = []
    for number in numbers:
        for arm, values in accuracies(number, repetitions, epochs).items():
            rows += [(number, i, arm, value) for i, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["experiment", "repetition", "arm", "accuracy"])


def compare(frame):
    """Return one row an experiment and arm: ours, theirs, and the difference.

    The standard error is that of the difference of two means; the published mean is
    rounded to whole points, so that up to half a point of a difference is nobody's.
    """
    rows = []
    for (number, arm), group in frame.groupby(["experiment", "arm"], sort=False):
        values = group["accuracy"]
        error = values.std(ddof=1) / np.sqrt(len(values))
        theirs = NETWORKS.index(arm.removesuffix("_jointly"))
        mean, deviation = PAPER[number[0]][theirs]
        joint_error = np.hypot(error, deviation / np.sqrt(PAPER_RUNS))
        gap = values.mean() - mean
        row = {"experiment": number, "arm": arm, "mean": values.mean(), "error": error}
        row |= {"paper": mean, "gap": gap, "in_errors": gap / joint_error}
        row["within"] = abs(gap) <= 2 * joint_error
        row["rounded"] = abs(gap) - ROUNDING <= 2 * joint_error
        rows.append(row)
    return pd.DataFrame(rows)


def counts(table):
    """Return sentences on how many of the paper's figures are met."""
    main = table[(table["experiment"].str.len() == 1) & table["arm"].isin(NETWORKS)]
    missed = main[~main["rounded"]]
    names = [f"{r.arm} of {r.experiment} ({r.gap:+.1f})" for r in missed.itertuples()]
    return [
        f"Of the paper's {len(main)} figures, {main['within'].sum()} are met within "
        f"two standard errors, {main['rounded'].sum()} within two and the half point "
        f"to which they are rounded. Not met: {', '.join(names) or 'none'}.",
    ]


def markdown(table, command):
    """Return the report."""
    lines = [
        "# Privileged information, synthetic",
        "",
        "Lopez-Paz et al., ICLR 2016. Test accuracy in points, mean +- standard error. "
        f"Written by `{command}`.",
        "",
        *counts(table),
        "",
        "`distilled`: the teacher first, then `distill(privileged >> distilled, "
        "temperature=1)` alone, as in the paper. `distilled_jointly`: both at once, "
        "held against the same figure. Of experiment 4 paper and program differ; `4` "
        "was picked from three readings because it has the paper's means and spreads.",
        "",
        "| experiment | x* | arm | coloss | paper | difference | in s.e. | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        met = "yes" if row.within else ("rounded" if row.rounded else "**no**")
        lines.append(
            f"| {row.experiment} | {EXPERIMENTS[row.experiment][0]} | {row.arm} "
            f"| {row.mean:.1f} +- {row.error:.1f} | {row.paper} | {row.gap:+.1f} "
            f"| {row.in_errors:+.1f} | {met} |"
        )
    return "\n".join([*lines, ""])


def main(arguments=None):
    """Run the experiments and write the report."""
    given = population.arguments(__file__, __doc__, 100, arguments)
    numbers, repetitions, epochs = EXPERIMENTS, given.repetitions, EPOCHS
    if given.quick:
        numbers, repetitions, epochs = ("1",), min(repetitions, 10), 500
    frame = run(numbers, repetitions, epochs)
    table = compare(frame)
    command = f"lopez_paz.py --repetitions {repetitions}{' --quick' * given.quick}"
    text = markdown(table, f"python benchmarks/evidence/{command}")
    population.write(given.out, "lopez_paz", frame, text)
    return table


if __name__ == "__main__":
    main()
