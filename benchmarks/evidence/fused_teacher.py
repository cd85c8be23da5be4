"""A teacher that sees everything, where each helper is weaker than the main network.

Karhunen coefficients of digits, taught by Zernike moments and morphology: 100 of 1000
training rows have a label. All networks are trained jointly; gains over the same
networks without a transfer term, in pairs by seed, on test rows.

    KERAS_BACKEND=jax python benchmarks/evidence/fused_teacher.py --seeds 20
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras

import coloss

MAIN, HELPERS, FUSED = "kar", ("zer", "mor"), "all"
LABELS, EPOCHS, BATCH_SIZE, VALIDATE = 100, 60, 100, 5
HERE = Path(__file__).parent


def build():
    """Return the networks: two hidden layers of 64 each, and one that reads all."""
    views = (MAIN, *HELPERS)
    members = {view: _network((view,)) for view in views}
    members[FUSED] = _network(views)
    return coloss.JointModel(members, inputs={FUSED: coloss.Inputs(*views)})


def _network(views):
    inputs = [keras.Input((coloss.data.WIDTHS[view],), name=view) for view in views]
    values = inputs[0] if len(views) == 1 else keras.layers.Concatenate()(inputs)
    for _ in range(2):
        values = keras.layers.Dense(64, activation="relu")(values)
    outputs = keras.layers.Dense(10, activation="softmax")(values)
    return keras.Model(inputs[0] if len(views) == 1 else inputs, outputs)


def arms():
    """Return the objectives by name."""
    own = " + ".join((MAIN, *HELPERS, FUSED))
    edge = f"distill({FUSED} >> {MAIN}, temperature=4"
    helpers = [
        f'distill({name} >> {MAIN}, temperature=4, gate="network")' for name in HELPERS
    ]
    return {
        "alone": own,
        "self-training": f"{own} + pseudo_label({MAIN})",
        "helpers": f"{own} + 0.5*{helpers[0]} + 0.5*{helpers[1]}",
        "fused, gate": f'{own} + {edge}, gate="network")',
        "fused": f"{own} + {edge})",
        "fused, weight 3": f"{own} + 3*{edge})",
        "fused and helpers, gate": " + ".join(
            [own, f'{edge}, gate="network")', *helpers]
        ),
    }


def study_of(seeds, epochs=EPOCHS):
    """Return the study.

    Args:
        seeds: runs an arm.
        epochs: of each run.
    """

    def data(seed):
        return coloss.data.load_digits_views((MAIN, *HELPERS), LABELS, seed)

    return coloss.Study(
        build,
        data,
        arms(),
        compile={
            "optimizer": "adam",
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        seeds=seeds,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        main=MAIN,
        validation_freq=min(VALIDATE, epochs),
    )


def table(result, seeds):
    """Return the results as Markdown."""
    entry = f"validation_{MAIN}_accuracy"
    validation = result.frame.groupby("arm")[entry].mean()
    compared = result.compare("alone")
    if "arm" in compared:
        compared = compared.set_index("arm")
    lines = [
        f"{seeds} seeds, {EPOCHS} epochs; accuracy in %, gains over `alone` in points.",
        "",
        "| objective | validation | test | gain | 95 % interval | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for arm, row in compared.iterrows():
        numbers = [f"{100 * validation[arm]:.1f}", f"{100 * row['mean']:.1f}"]
        if arm == "alone":
            lines.append(f"| {arm} | {' | '.join(numbers)} | | | |")
            continue
        numbers += [
            f"{100 * row['gain']:+.1f}",
            f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}",
        ]
        lines.append(f"| {arm} | {' | '.join(numbers)} | {row['verdict']} |")
    return "\n".join(lines)


def main():
    """Run the study, print the table, and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    chosen = parser.parse_args()
    result = study_of(chosen.seeds).run()
    text = table(result, chosen.seeds)
    print(text)
    title = "# A teacher that sees everything\n\n"
    about = "Made by `python benchmarks/evidence/fused_teacher.py"
    command = f"{about} --seeds {chosen.seeds}`.\n\n"
    (HERE / "fused_teacher.md").write_text(f"{title}{command}{text}\n", "utf-8")


if __name__ == "__main__":
    main()
