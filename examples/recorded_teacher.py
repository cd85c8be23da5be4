"""Teachers that are no networks: predictions of scikit-learn, recorded.

A random forest and a logistic regression see three views of handwritten digits; the
main network sees one of them (`fou`) and has 100 labels of 1000 rows. Their predictions
are members that are never trained (`coloss.Recorded`). A model knows the rows that it
was fitted on by heart: of rows with a label the predictions come from models that did
not see them (`cross_val_predict`). The arm "forest by heart" does without.

Run: python examples/recorded_teacher.py
"""

from __future__ import annotations

import functools
import sys

import keras
import numpy as np
from measuring import accuracy, compare, figures, runs
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

import coloss

VIEWS = ("fou", "kar", "pix")
EXPERTS = ("logistic", "forest", "by_heart")
OBJECTIVE = "fou + " + " + ".join(
    f"{name[0]}*distill({name} >> fou, temperature=4)" for name in EXPERTS
)
ARMS = {
    "alone": {"l": 0.0, "f": 0.0, "b": 0.0},
    "logistic regression": {"l": 1.0, "f": 0.0, "b": 0.0},
    "forest": {"l": 0.0, "f": 1.0, "b": 0.0},
    "forest by heart": {"l": 0.0, "f": 0.0, "b": 1.0},
}


def build():
    """Return the joint model: one network, and three recorded teachers."""
    layers = [
        keras.Input((76,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
    experts = {name: coloss.Recorded() for name in EXPERTS}
    joint = coloss.JointModel({"fou": keras.Sequential(layers), **experts})
    joint.compile(
        "adam",
        loss="sparse_categorical_crossentropy",
        objective=OBJECTIVE,
        coefficients=ARMS["alone"],
    )
    return joint


@functools.cache
def rows(seed, trees):
    """Return training rows with the teachers' predictions, and test rows.

    Args:
        seed: of the split.
        trees: of the forest.
    """
    split = coloss.data.load_digits_views(VIEWS, n_labeled=100, seed=seed)
    x, y = split.train
    table, known = np.hstack([x[view] for view in VIEWS]), y >= 0
    models = {
        "logistic": LogisticRegression(max_iter=1000),
        "forest": RandomForestClassifier(trees, random_state=seed),
    }
    found = {"fou": x["fou"]}
    for name, model in models.items():
        model.fit(table[known], y[known])
        found[name] = model.predict_proba(table).astype("float32")
    found["by_heart"] = found["forest"].copy()
    for name, model in models.items():
        found[name][known] = cross_val_predict(
            model, table[known], y[known], cv=10, method="predict_proba"
        )
    return (found, y), split.test


def train(seeds, epochs, trees):
    """Return the main network's test accuracy, by arm, a list over seeds."""
    found = figures()
    for arm, seed, joint in runs(build, ARMS, seeds, rows(0, trees)[0][0]):
        (x, y), (x_test, y_test) = rows(seed, trees)
        joint.fit(x, y, epochs=epochs, batch_size=100, verbose=0)
        found[arm, "fou"].append(accuracy(joint["fou"], x_test["fou"], y_test))
    return found


def main(short=False):
    """Train every arm, and compare."""
    found = train(*((2, 2, 10) if short else (5, 60, 300)))
    print("Test accuracy of the main network, 100 labels:")
    return {"found": found, "gains": compare(found, "alone")}


if __name__ == "__main__":
    main(short="--short" in sys.argv)
