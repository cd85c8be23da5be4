"""What the gates of `distill` are worth, and what they cost where all is well.

Handwritten digits, 100 labels of 1000 rows. Two cases: helpers that are better than the
main network (fou, taught by kar and pix), and weaker ones (pix, taught by zer and mor).
Arms: alone, and `learn_from` with each gate.

    KERAS_BACKEND=jax python benchmarks/evidence/gates.py --seeds 20
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras

import coloss
from coloss import recipes

CASES = {"better": ("fou", "kar", "pix"), "weaker": ("pix", "zer", "mor")}
GATES = (None, "network", "row", "rank")
LABELS, EPOCHS, BATCH_SIZE = 100, 60, 100
HERE = Path(__file__).parent


def study(views: tuple[str, ...], seeds: int, epochs: int = EPOCHS) -> coloss.Study:
    """Return the study of one case.

    Args:
        views: the main network's, then the helpers'.
        seeds: paired runs of each arm.
        epochs: of each run.
    """
    main, *helpers = views

    def build():
        return coloss.JointModel({view: _network(view) for view in views})

    taught = {
        f'gate="{gate}"' if gate else "no gate": recipes.learn_from(
            main, helpers, gate=gate
        )
        for gate in GATES
    }
    return coloss.Study(
        build,
        lambda seed: coloss.data.load_digits_views(views, LABELS, seed),
        arms={"alone": " + ".join(views), **taught},
        compile={
            "optimizer": "adam",
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        seeds=seeds,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        main=main,
        validation_freq=4,
    )


def _network(view: str) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((coloss.data.WIDTHS[view],)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def table(seeds: int, epochs: int = EPOCHS) -> str:
    """Return the gains of every gate in every case, in Markdown."""
    lines = ["| main, with | alone | arm | gain, points [95 %] |", "|---|---|---|---|"]
    for kind, views in CASES.items():
        compared = study(views, seeds, epochs).run(verbose=False).compare()
        main, *helpers = views
        alone = 100 * compared.loc["alone", "mean"]
        for arm, row in compared.drop("alone").iterrows():
            low, gain, high = (100 * row[key] for key in ("low", "gain", "high"))
            lines.append(
                f"| {main}, with {' and '.join(helpers)} ({kind}) | {alone:.1f} | "
                f"`{arm}` | {gain:+.1f} [{low:+.1f}, {high:+.1f}] |"
            )
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=HERE / "gates.md")
    arguments = parser.parse_args()
    found = table(arguments.seeds, arguments.epochs)
    command = f"python benchmarks/evidence/gates.py --seeds {arguments.seeds}"
    arguments.out.write_text(
        f"# The gates of `distill`\n\n`KERAS_BACKEND=jax {command}`\n\n"
        f"Digits, {LABELS} labels of 1000 rows, `recipes.learn_from` with each gate; "
        f"test accuracy of the main network over the same networks alone.\n\n{found}\n"
    )
    print(found)


if __name__ == "__main__":
    main()
