"""The study of the demo: its networks, its rows, and its arms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coloss import recipes
from coloss.data import WIDTHS, load_digits_views
from coloss.joint import JointModel
from coloss.study import Study, controls

if TYPE_CHECKING:
    import keras

    from coloss.objective.explanation import Explanation

MAIN, HELPERS = "fou", ("kar", "pix")
VIEWS = (MAIN, *HELPERS)
N_LABELED, BATCH_SIZE = 100, 100
CURVE_STEP = 4
"""Epochs from one point of a learning curve to the next."""

ARMS: dict[str, str] = {
    "alone": " + ".join(VIEWS),
    "on paper": "w1*fou + w2*(fou - kar) + w3*(fou - pix)",
    "self-training": str(recipes.self_training(VIEWS)),
    "twin": str(recipes.learn_from(MAIN, HELPERS)),
    "taught": str(recipes.learn_from(MAIN, HELPERS)),
}
COEFFICIENTS = {"w1": 1.0, "w2": 0.5, "w3": 0.5}
PAPER, CONTROL, TWIN, BEST = "on paper", "self-training", "twin", "taught"
COMPILE = {
    "optimizer": "adam",
    "loss": "sparse_categorical_crossentropy",
    "metrics": ["accuracy"],
}


def networks() -> dict[str, keras.Model]:
    """Return the three networks: two hidden layers of 64 each, and a softmax."""
    import keras

    widths = {view: WIDTHS[view] for view in VIEWS}
    return {
        view: keras.Sequential(
            [
                keras.Input((width,)),
                keras.layers.Dense(64, activation="relu", name="hidden_1"),
                keras.layers.Dense(64, activation="relu", name="hidden_2"),
                keras.layers.Dense(10, activation="softmax", name="digit"),
            ],
            name=view,
        )
        for view, width in widths.items()
    }


def demo_study(seeds: int, epochs: int) -> Study:
    """Return the study: every arm, once a seed.

    Args:
        seeds: paired runs of each arm.
        epochs: of each run.
    """

    def build() -> JointModel:
        return JointModel(networks())

    twin = controls.twin({"objective": ARMS[TWIN]}, MAIN, build, COMPILE)
    return Study(
        build,
        lambda seed: load_digits_views(VIEWS, N_LABELED, seed),
        arms={name: twin if name == TWIN else text for name, text in ARMS.items()},
        compile=COMPILE,
        coefficients=COEFFICIENTS,
        seeds=seeds,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        main=MAIN,
        validation_freq=CURVE_STEP,
    )


def explanations(study: Study) -> dict[str, Explanation]:
    """Return what each arm's objective will do to each network, by arm."""
    trials, _ = study.prepare()
    return {name: trial.joint.explain() for name, trial in trials.items()}
