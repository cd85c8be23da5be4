"""What tests of a resumed training share: a training that is killed, and its bits."""

from __future__ import annotations

import random

import keras
import numpy as np

import coloss
from coloss.callbacks import Checkpoint

ROWS, BATCH, EPOCHS = 22, 4, 3
RNG = np.random.default_rng(0)
X = {name: RNG.normal(size=(ROWS, 3)).astype("float32") for name in ("main", "helper")}
Y = RNG.integers(0, 3, size=ROWS)
FIT = {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0}

SEED, OTHER = 1, 99
"""Of the first start, and of the one that resumes, which must not depend on it."""


class Killed(BaseException):
    """What stands for a kill: nobody catches it."""


class Kill(keras.callbacks.Callback):
    """Ends a training at a step or at the end of an epoch, before a checkpoint of it.

    Args:
        epoch: in which.
        step: after which, from 0; None: at the end of the epoch.
    """

    every_step = False

    def __init__(self, epoch, step=None):
        super().__init__()
        self.epoch, self.step, self.now = epoch, step, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.step is not None and (self.now, batch) >= (self.epoch, self.step):
            raise Killed

    def on_epoch_end(self, epoch, logs=None):
        if self.step is None and epoch == self.epoch:
            raise Killed


def network():
    """Return a network that draws random numbers, and counts, while it trains."""
    layers = keras.layers
    inner = [layers.Dense(4, "tanh"), layers.GaussianNoise(0.1)]
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.Sequential(inner, name="hidden"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(3, "softmax"),
        ]
    )


def build(**compiled):
    """Return a joint model, compiled."""
    model = coloss.JointModel({"main": network(), "helper": network()})
    options = {
        "optimizer": "adam",
        "loss": "sparse_categorical_crossentropy",
        "objective": "main + helper + distill(helper >> main)",
    }
    model.compile(**{**options, **compiled})
    return model


class Script:
    """A script that trains: one model, so that its step is compiled once.

    What a start of the script would make anew is set, every time: of a start that
    resumes to other values, all of them.

    Args:
        callbacks: returns those beside `Checkpoint`, made anew.
        compiled: returns arguments of `compile`, made anew.
        fit: arguments of `fit`.
    """

    def __init__(self, callbacks=lambda: [], compiled=None, fit=None):
        keras.utils.set_random_seed(SEED)
        self.model, self.callbacks = build(**(compiled or dict)()), callbacks
        self.options = {"x": X, "y": Y, **FIT, **(fit or {})}
        self.model.fit(**{**self.options, "epochs": 1})
        if hasattr(self.model.train_function, "pace"):
            self.model.train_function.pace.steps = 2  # In a block.
        self.start = [np.array(value) for value in map(number, self.variables)]

    @property
    def variables(self):
        model = self.model
        return [*model.variables, *model.optimizer.variables, *model.metrics_variables]

    def begin(self, seed):
        keras.utils.set_random_seed(seed)
        other = np.random.default_rng(seed)
        for variable, value in zip(self.variables, self.start, strict=False):
            if seed == SEED:
                variable.assign(value)
            elif value.dtype.kind == "f":
                variable.assign(other.uniform(size=value.shape))
            else:
                variable.assign(other.integers(1, 9, size=value.shape))
        self.model.moving_coefficients.clear()

    def run(self, folder, seed=SEED, kill=None, **checkpoint):
        """Start the script; return its bits, or None if it was killed."""
        self.begin(seed)
        told = [Checkpoint(folder, **checkpoint), *self.callbacks()]
        try:
            history = self.model.fit(
                callbacks=told + [kill] * bool(kill), **self.options
            )
        except Killed:
            return None
        return self.bits(history)

    def bits(self, history):
        """Return everything that must be the same, by name."""
        model = self.model
        kept = [*model.variables, *model.optimizer.variables]
        found = {f"{i} {v.path}": number(v) for i, v in enumerate(kept)}
        found["epochs"] = history.epoch
        found |= {f"history {key}": value for key, value in history.history.items()}
        found["python"] = random.random()
        found["numpy"] = np.random.random()
        found["keras"] = keras.ops.convert_to_numpy(keras.random.normal((3,)))
        return found

    def check(self, folder, *kills, **checkpoint):
        """Hold a training that is killed and resumed against one that is not."""
        expected = self.run(folder / "whole", **checkpoint)
        for place, kill in enumerate(kills):
            seed = OTHER + place if place else SEED
            assert self.run(folder / "killed", seed, kill, **checkpoint) is None
        found = self.run(folder / "killed", OTHER - 1, **checkpoint)
        assert not differences(found, expected)
        return found


def number(variable):
    return keras.ops.convert_to_numpy(variable.value)


def differences(found, expected):
    """Return the names of what is not equal to the bit."""
    assert list(found) == list(expected)
    return [
        name
        for name, value in expected.items()
        if not np.array_equal(found[name], value, equal_nan=True)
    ]
