"""More padding gave other weights of losses, and class weights were not in them.

A weighting or an aggregator reads losses and gradients; what is padding must not be in
them, and classes weigh there as in the loss. Found by trying; the kind is that of
tensorflow/tensorflow issue 39146 (padding counted in the loss), one level up.

The same sequences are trained padded to 3 steps with `class_weight`, and padded to 5
steps with the same weights given a step: two ways to say one thing.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend

METHODS = [
    *[{"weighting": name} for name in ("uncertainty", "dwa", "gradnorm", "mmpareto")],
    *[{"aggregator": name} for name in ("upgrad", "pcgrad")],
]
"""One for each thing that is read: losses, their means over an epoch, gradients."""
RNG = np.random.default_rng(0)
LENGTHS = [3, 1, 2, 3]
VALUES = {name: RNG.normal(size=(4, 3, 2)).astype("float32") for name in "ab"}
LABELS = RNG.integers(0, 2, (4, 3))
CLASS_WEIGHT = {0: 0.5, 1: 2.0}


def padded(steps):
    """Return inputs, labels and weights of the classes, padded with 0 to some steps."""
    x = {name: np.zeros((4, steps, 2), "float32") for name in VALUES}
    y, weight = np.ones((4, steps), "int32"), np.ones((4, steps), "float32")
    for row, length in enumerate(LENGTHS):
        for name, values in VALUES.items():
            x[name][row, :length] = values[row, :length]
        y[row, :length] = LABELS[row, :length]
        weight[row, :length] = [CLASS_WEIGHT[k] for k in LABELS[row, :length]]
    return x, y, weight


def member(seed):
    def dense(units, activation, number):
        kernel = keras.initializers.GlorotUniform(number)
        return keras.layers.Dense(units, activation, kernel_initializer=kernel)

    return keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.Masking(),
            dense(3, "tanh", seed),
            dense(2, "softmax", seed + 1),
        ]
    )


def trained(method, steps, by_class):
    keras.utils.set_random_seed(3)  # Of methods that draw an order.
    joint = coloss.JointModel({"a": member(1), "b": member(5)})
    joint.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        objective="a + b + distill(b >> a)",
        **method,
    )
    x, y, weight = padded(steps)
    how = {"class_weight": CLASS_WEIGHT} if by_class else {"sample_weight": weight}
    history = joint.fit(x, y, epochs=2, batch_size=4, verbose=0, **how).history
    return history, joint.get_weights()


@pytest.mark.parametrize("method", METHODS, ids=lambda how: "-".join(*how.items()))
def test_padding_is_in_no_weight_and_classes_are(method):
    history, weights = trained(method, 3, by_class=True)
    expected, others = trained(method, 5, by_class=False)
    assert history.keys() == expected.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, err_msg=name)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
