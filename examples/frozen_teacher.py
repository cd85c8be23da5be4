"""A teacher that was trained before, and stays as it is.

A network on pixels (`pix`) is trained on 1000 labeled digits, saved as a `.keras`
file, loaded and frozen. Then it teaches a student on Fourier coefficients (`fou`) that
has 100 labels: at the outputs (`distill`), and between layers, once by `cka` and once
by `hint`. A frozen member runs in inference mode (no dropout, no moving batch
statistics), and its weights are the same bytes afterwards, which is checked against
the file.

Run: python examples/frozen_teacher.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from measuring import accuracy, compare, figures, runs

import coloss

OBJECTIVE = (
    "fou + d*distill(pix >> fou, temperature=4)"
    " + c*cka(pix.hidden >> fou.hidden) + h*hint(pix.hidden >> fou.hidden)"
)
# hint is a mean over 96 squares, 2 (1 - cosine) / 96: with weight 48 it is 1 - cosine,
# with weight 1 nothing would be felt of it. `joint.explain(x, y)` shows such things.
ARMS = {
    "alone": {"d": 0.0, "c": 0.0, "h": 0.0},
    "distill": {"d": 1.0, "c": 0.0, "h": 0.0},
    "distill and cka": {"d": 1.0, "c": 1.0, "h": 0.0},
    "distill and hint": {"d": 1.0, "c": 0.0, "h": 48.0},
}


def teacher():
    return keras.Sequential(
        [
            keras.Input((240,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(96, activation="relu", name="hidden"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def student():
    return keras.Sequential(
        [
            keras.Input((76,)),
            # Not as wide as the teacher's: cka does not mind, hint gets a projector.
            keras.layers.Dense(64, activation="relu", name="hidden"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def pretrain(path, epochs):
    """Train the teacher as any Keras model, and save it."""
    keras.utils.set_random_seed(0)
    model, split = teacher(), coloss.data.load_digits_views("pix")
    model.compile("adam", "sparse_categorical_crossentropy")
    (x, y), (x_test, y_test) = split.train, split.test
    model.fit(x["pix"], y, epochs=epochs, batch_size=100, verbose=0)
    model.save(path)
    return accuracy(model, x_test["pix"], y_test)


def build_with(path):
    """Return a function that builds the joint model around the saved teacher."""

    def build():
        loaded = keras.saving.load_model(path)
        loaded.trainable = False
        joint = coloss.JointModel({"fou": student(), "pix": loaded})
        joint.compile(
            "adam",
            # No loss of the teacher's: the objective does not contain it.
            loss={"fou": "sparse_categorical_crossentropy"},
            objective=OBJECTIVE,
            coefficients=ARMS["distill"],
        )
        return joint

    return build


def bytes_of(model):
    return b"".join(weight.tobytes() for weight in model.get_weights())


def train(path, seeds, epochs):
    """Return the student's test accuracies, and whether the teacher has changed."""
    found, unchanged = figures(), []
    saved = bytes_of(keras.saving.load_model(path))
    # One split for all seeds, the teacher's: it must not know a test row.
    split = coloss.data.load_digits_views(["fou", "pix"])
    (x, y), (x_test, y_test) = split.train, split.test
    for arm, seed, joint in runs(build_with(path), ARMS, seeds, x):
        unknown = np.random.default_rng(seed).permutation(len(y))[100:]
        few = y.copy()
        few[unknown] = -1
        joint.fit(x, few, epochs=epochs, batch_size=100, verbose=0)
        found[arm, "student"].append(accuracy(joint["fou"], x_test["fou"], y_test))
        unchanged.append(bytes_of(joint["pix"]) == saved)
    return found, unchanged, joint


def main(short=False):
    """Pretrain, freeze, teach, compare."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teacher.keras"
        knows = pretrain(path, epochs=2 if short else 30)
        print(f"the teacher's own test accuracy: {knows:.3f}")
        found, unchanged, joint = train(path, *((2, 2) if short else (5, 60)))
    print("\nTest accuracy of the student, 100 labels:")
    gains = compare(found, "alone")
    print("\nDoes a layer edge add to distill?")
    taught = {key: value for key, value in found.items() if key[0] != "alone"}
    gains["over distill"] = compare(taught, "distill")
    print(f"teacher byte-identical after fit: {all(unchanged)} ({len(unchanged)} runs)")
    return {"found": found, "gains": gains, "unchanged": unchanged, "joint": joint}


if __name__ == "__main__":
    main(short="--short" in sys.argv)
