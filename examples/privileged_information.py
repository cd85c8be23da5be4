"""A helper whose input exists only while training: privileged information.

The main network sees Zernike moments of handwritten digits (`zer`), and so it will
when it is used. While training there are also the pixels (`pix`): a sensor too dear to
deploy, a modality that somebody annotated once. The helper learns from the pixels and
teaches the main network, which is then saved and used alone.

Does it help? That depends on the labels, so both cases are measured: all 1000 training
rows labeled (self-training has nothing to do then), and 100 of them.

Run: python examples/privileged_information.py
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
    "zer + pix + taught*distill(pix >> zer, temperature=4) + itself*pseudo_label(zer)"
)
ARMS = {
    "alone": {"taught": 0.0, "itself": 0.0},
    # The control: a gain that self-training has as well needs no second input.
    "self-training": {"taught": 0.0, "itself": 1.0},
    "taught": {"taught": 1.0, "itself": 0.0},
}


def network(width):
    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def build():
    joint = coloss.JointModel({"zer": network(47), "pix": network(240)})
    joint.compile(
        "adam",
        loss="sparse_categorical_crossentropy",
        objective=OBJECTIVE,
        coefficients=ARMS["taught"],
    )
    return joint


def train(labels, seeds, epochs):
    """Return test accuracy by (arm, labels) and the last taught main network."""
    found, split = figures(), coloss.data.load_digits_views(("zer", "pix"))
    for arm, seed, joint in runs(build, ARMS, seeds, split.train[0]):
        split = coloss.data.load_digits_views(("zer", "pix"), labels, seed)
        joint.fit(*split.train, epochs=epochs, batch_size=100, verbose=0)
        x, y = split.test
        # The pixels of the test rows are not touched: only `zer` is there.
        right = accuracy(joint["zer"], x["zer"], y)
        found[arm, f"{labels or 1000} labels"].append(right)
    return found, joint["zer"], split


def main(short=False):
    """Train, compare, and use the main network alone."""
    seeds, epochs = (2, 2) if short else (5, 60)
    print(build().explain())
    gains = {}
    for labels in (100,) if short else (None, 100):
        print(f"\nTest accuracy of the main network, {labels or 1000} labels:")
        found, main_network, split = train(labels, seeds, epochs)
        gains.update(compare(found, "alone"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zer.keras"
        main_network.save(path)
        alone = keras.saving.load_model(path)  # a plain Keras model
    x = split.test[0]["zer"]
    first, second = (net.predict(x, verbose=0) for net in (main_network, alone))
    same = bool(np.array_equal(first, second))
    print(f"\nSaved and loaded: {type(alone).__name__}, same predictions: {same}")
    return {"found": found, "gains": gains, "same": same, "inputs": alone.input_shape}


if __name__ == "__main__":
    main(short="--short" in sys.argv)
