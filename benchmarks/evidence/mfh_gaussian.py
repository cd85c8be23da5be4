"""The modality focusing hypothesis on Gaussian data: who can teach whom?

Xue et al., "The Modality Focusing Hypothesis", ICLR 2023 (arXiv:2206.06487), figure 2.
20 features decide the label. The teacher's modality holds 10 of them among 25 channels,
the student's 10 among 50; the others are noise. `overlap` of the decisive features are
in both modalities, gamma = overlap / (20 - overlap) of those in either. As gamma goes
from 0 to 1 the student's gain from the teacher goes from harm to help.

The set-up is that of the authors' published program: linear softmax classifiers, 200
rows to train and 1000 to test, 1000 steps of gradient descent at 0.1 on all rows, the
teacher first, then `student + 0.5*distill(teacher >> student, temperature=1)` (their
divergence is averaged over the two classes). They have 10 seeds; here are more.

Run: KERAS_BACKEND=jax python benchmarks/evidence/mfh_gaussian.py
"""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import population
from scipy import stats

DECISIVE, TEACHER, STUDENT = 10, 25, 50
TRAIN, TEST, STEPS, RATE = 200, 1000, 1000, 0.1
OVERLAPS = (0, 2, 4, 6, 8, 10)
OBJECTIVE = "student + 0.5*distill(teacher >> student, temperature=1)"
# The gain at gamma 0 and 1: as reported, and read off the published figure.
PAPER = ((-2.1, 2.3), (-1.6, 2.1))


def gamma(overlap):
    """Return the share of the decisive features that both modalities hold."""
    return overlap / (2 * DECISIVE - overlap)


def draw(random, hyperplane, rows):
    """Return decisive features, the teacher's noise, the student's input, labels."""
    decisive = random.normal(size=(rows, 2 * DECISIVE))
    student = random.normal(size=(rows, STUDENT))
    student[:, :DECISIVE] = decisive[:, :DECISIVE]
    noise = random.normal(size=(rows, TEACHER))
    return decisive, noise, student, decisive @ hyperplane > 0


def teacher_input(decisive, noise, overlap):
    """Return the teacher's input: its decisive features, among noise."""
    first = DECISIVE - overlap
    x = noise.copy()
    x[..., first : first + DECISIVE] = decisive[..., first : first + DECISIVE]
    return x


def data(seeds):
    """Return the parts of `draw` for training and test rows, (seeds, rows, ...).

    They do not depend on the overlap: the runs of one seed are pairs.
    """
    found = []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        hyperplane = random.normal(size=2 * DECISIVE)
        found.append([draw(random, hyperplane, rows) for rows in (TRAIN, TEST)])
    dtypes = ("float32", "float32", "float32", "int32")
    return [
        [
            np.stack([one[part][i] for one in found]).astype(t)
            for i, t in enumerate(dtypes)
        ]
        for part in range(2)
    ]


def classifier(width):
    """Return a linear softmax classifier, with the initial weights of PyTorch."""
    dense = keras.layers.Dense(
        2,
        kernel_initializer=keras.initializers.VarianceScaling(
            1 / 3, mode="fan_in", distribution="uniform"
        ),
        bias_initializer=keras.initializers.RandomUniform(-(width**-0.5), width**-0.5),
    )
    return keras.Sequential([keras.Input((width,)), dense])


def networks(names):
    """Return a function that builds classifiers by name."""

    def build():
        return {n: classifier(TEACHER if n == "teacher" else STUDENT) for n in names}

    return build


def fit(objective, x, y, weights, steps, frozen=()):
    """Train the members of `weights` on all rows at once; return their weights."""
    return population.train(
        networks(tuple(weights)),
        objective,
        keras.optimizers.SGD(RATE),
        ({name: x[name] for name in weights}, y),
        weights,
        epochs=steps,
        batch_size=y.shape[1],
        frozen=frozen,
    )


def run(overlaps, seeds, steps):
    """Return one row an overlap and seed: accuracies and the student's gain."""
    train, test = data(seeds)
    keras.utils.set_random_seed(0)
    start = population.initial_weights(networks(("teacher", "student")), seeds)
    frames, alone = [], None
    for overlap in overlaps:
        inputs = [
            {"teacher": teacher_input(part[0], part[1], overlap), "student": part[2]}
            for part in (train, test)
        ]
        first = fit("teacher + student", inputs[0], train[3], start, steps)
        # Without a teacher the student is the same at every overlap.
        alone = alone or first["student"]
        pair = {"teacher": first["teacher"], "student": start["student"]}
        taught = fit(OBJECTIVE, inputs[0], train[3], pair, steps, ("teacher",))
        found = {"overlap": overlap, "gamma": gamma(overlap), "seed": range(seeds)}
        for column, name, weights in (
            ("teacher", "teacher", first["teacher"]),
            ("alone", "student", alone),
            ("taught", "student", taught["student"]),
        ):
            x = inputs[1][name]
            found[column] = population.accuracy(
                networks((name,)), name, weights, x, test[3]
            )
        frames.append(pd.DataFrame(found))
    frame = pd.concat(frames, ignore_index=True)
    frame["gain"] = frame["taught"] - frame["alone"]
    return frame


def summarize(frame):
    """Return one row a gamma: mean accuracies, the gain and its 95 % interval."""
    rows = []
    for share, group in frame.groupby("gamma"):
        gain = group["gain"]
        half = stats.t.ppf(0.975, len(gain) - 1) * stats.sem(gain)
        means = group[["teacher", "alone", "taught", "gain"]].mean().to_dict()
        low, high = gain.mean() - half, gain.mean() + half
        rows.append({"gamma": share, **means, "low": low, "high": high})
    return pd.DataFrame(rows)


def verdict(table):
    """Return sentences on what agrees with the paper and what does not."""
    gains, first, last = table["gain"], table.iloc[0], table.iloc[-1]
    lines = []
    if first["high"] < 0 < last["low"]:
        lines.append("The gain changes its sign: harm at gamma 0, help at gamma 1.")
    else:
        lines.append("The gain does NOT change its sign beyond its intervals.")
    rises = bool((np.diff(gains) > 0).all())
    lines.append(f"It rises from each gamma to the next: {'yes' if rises else 'no'}.")
    for row, place in ((first, 0), (last, 1)):
        reported, drawn = PAPER[0][place], PAPER[1][place]
        inside = [row["low"] <= value <= row["high"] for value in (reported, drawn)]
        lines.append(
            f"At gamma {row['gamma']:.0f}: {row['gain']:+.1f} "
            f"[{row['low']:+.1f}, {row['high']:+.1f}]; reported {reported:+.1f} "
            f"({'inside' if inside[0] else 'outside'} the interval), in the published "
            f"figure about {drawn:+.1f} ({'inside' if inside[1] else 'outside'})."
        )
    return lines


def markdown(table, command):
    """Return the report."""
    lines = [
        "# The modality focusing hypothesis, Gaussian data",
        "",
        "Xue et al., ICLR 2023 (arXiv:2206.06487), figure 2. Test accuracy in points;",
        "gamma is the share of the decisive features that both modalities hold.",
        f"Written by `{command}`.",
        "",
        *(f"- {line}" for line in verdict(table)),
        "",
        "| gamma | teacher | student alone | student taught | gain [95 % interval] |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.gamma:.2f} | {row.teacher:.1f} | {row.alone:.1f} | {row.taught:.1f} "
        f"| {row.gain:+.2f} [{row.low:+.2f}, {row.high:+.2f}] |"
        for row in table.itertuples()
    ]
    return "\n".join([*lines, "", "![gain over gamma](mfh_gaussian.png)", ""])


def draw_curve(table, path):
    """Draw the gain over gamma, with its intervals."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axes.axhline(0, color="gray", linewidth=0.8)
    axes.fill_between(table["gamma"], table["low"], table["high"], alpha=0.25)
    axes.plot(table["gamma"], table["gain"], marker="o", label="coloss, 95 % interval")
    axes.plot((0, 1), PAPER[0], "kx", label="reported")
    axes.plot((0, 1), PAPER[1], "k+", label="published figure")
    axes.set_xlabel("gamma: share of decisive features in both modalities")
    axes.set_ylabel("gain from the teacher, points")
    axes.legend()
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def main(arguments=None):
    """Run the experiment; write the table, the runs and the curve."""
    given = population.arguments(__file__, __doc__, 200, arguments)
    overlaps, seeds, steps = OVERLAPS, given.repetitions, STEPS
    if given.quick:
        overlaps, seeds, steps = (0, DECISIVE), min(seeds, 40), 300
    frame = run(overlaps, seeds, steps)
    table = summarize(frame)
    command = f"python benchmarks/evidence/mfh_gaussian.py --repetitions {seeds}"
    text = markdown(table, command + (" --quick" if given.quick else ""))
    population.write(given.out, "mfh_gaussian", frame, text)
    draw_curve(table, given.out / "mfh_gaussian.png")
    return table


if __name__ == "__main__":
    main()
