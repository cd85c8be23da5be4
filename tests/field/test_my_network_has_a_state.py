"""A network that carries a state from batch to batch did not do so beside others.

A recurrent layer with `stateful=True` failed on JAX; found by trying. Keras on such
layers: keras-team/keras issue 20327. The same network is trained, evaluated and
asked alone by plain Keras, and as a member whose partner shares nothing with it.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(
        keras.backend.backend() == "torch",
        reason="Keras itself fails there: the state is assigned within the graph",
    ),
]

BATCH, BATCHES = 4, 2
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH * BATCHES, 3, 2)).astype("float32")
Y = RNG.integers(0, 2, BATCH * BATCHES)
SPARSE = "sparse_categorical_crossentropy"
HOW = {"batch_size": BATCH, "verbose": 0}


def network():
    def kernel(seed):
        return keras.initializers.GlorotUniform(seed)

    inputs = keras.Input(batch_shape=(BATCH, 3, 2))
    hidden = keras.layers.GRU(
        3,
        stateful=True,
        kernel_initializer=kernel(1),
        recurrent_initializer=kernel(2),
        name="memory",
    )(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    outputs = keras.layers.Dense(2, "softmax", kernel_initializer=kernel(3))(hidden)
    return keras.Model(inputs, outputs)


def state(model):
    return np.array(keras.ops.convert_to_numpy(model.get_layer("memory").states[0]))


def alone(rows):
    """Return what plain Keras does: after `fit`, `evaluate`, and `predict`."""
    model = network()
    model.compile(keras.optimizers.SGD(0.1), SPARSE)
    history = model.fit(X, Y, epochs=2, shuffle=False, **HOW).history
    trained = state(model)
    loss = model.evaluate(X, Y, **HOW)
    outputs = model.predict(X[:rows], **HOW)
    return history["loss"], trained, loss, outputs, state(model)


def as_member(rows):
    joint = coloss.JointModel({"a": network(), "b": network()})
    joint.compile(keras.optimizers.SGD(0.1), SPARSE, objective="a + b")
    x = {"a": X, "b": X[::-1].copy()}
    history = joint.fit(x, Y, epochs=2, shuffle=False, **HOW).history
    trained = state(joint["a"])
    logs = joint.evaluate(x, Y, return_dict=True, **HOW)
    outputs = joint.predict({name: v[:rows] for name, v in x.items()}, **HOW)["a"]
    return history["a"], trained, logs["a"], outputs, state(joint["a"])


def test_a_member_with_a_state_is_what_it_is_alone():
    for one, other in zip(as_member(BATCH), alone(BATCH), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_explaining_a_batch_leaves_the_state():
    joint = coloss.JointModel({"a": network(), "b": network()})
    joint.compile("sgd", SPARSE, objective="a + b")
    x = {"a": X[:BATCH], "b": X[:BATCH]}
    joint.fit(x, Y[:BATCH], **HOW)
    before = state(joint["a"])
    joint.explain(x, Y[:BATCH])
    np.testing.assert_array_equal(state(joint["a"]), before)
