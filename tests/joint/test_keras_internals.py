"""What is read of Keras's private side is still there, and means what it meant."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint.keras_internals import (
    attach_mask,
    mask_of,
    output_structure,
    producer_of,
)

pytestmark = pytest.mark.backend


def test_a_mask_travels_with_the_outputs_of_layers():
    ids = np.array([[3, 4, 0], [5, 0, 0]])
    embedding = keras.layers.Embedding(8, 2, mask_zero=True)
    network = keras.Sequential([embedding, keras.layers.Dense(2)])
    found = mask_of(network(ids))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), ids > 0)


def test_a_plain_output_has_no_mask():
    assert mask_of(keras.layers.Dense(2)(np.ones((2, 3), "float32"))) is None


def test_a_mask_can_be_attached():
    value = keras.ops.ones((2, 3, 1))
    attach_mask(value, keras.ops.ones((2, 3), dtype="bool"))
    assert mask_of(value) is not None


def test_what_made_an_output_is_known():
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(2)
    network = keras.Model(inputs, keras.layers.Softmax()(dense(inputs)))
    softmax, [before] = producer_of(network.outputs[0])
    assert isinstance(softmax, keras.layers.Softmax)
    layer, [source] = producer_of(before)
    assert layer is dense and source is inputs
    operation, _ = producer_of(keras.ops.softmax(inputs))
    assert type(operation).__name__ == "Softmax"


def test_what_a_layer_returned_is_told_in_its_own_structure():
    class Two(keras.layers.Layer):
        def call(self, inputs, extra=None):
            return {"one": inputs, "two": inputs[:, :1]}

    layer = Two()
    assert output_structure(layer) is None
    layer(keras.Input((3,)), extra=None)
    found = output_structure(layer)
    assert {key: value.shape for key, value in found.items()} == {
        "one": (None, 3),
        "two": (None, 1),
    }
