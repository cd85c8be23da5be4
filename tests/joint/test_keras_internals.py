"""What is read of Keras's private side is still there, and means what it meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from coloss.joint.keras_internals import (
    OneTurn,
    attach_mask,
    held_state,
    hold_state,
    mask_of,
    output_structure,
    producer_of,
    profiles_batches,
    replicas_of,
    set_random_seed,
    split_rows,
    sync_held_state,
    traces_with_flax,
    variable_scope,
    whole_batch,
    without_values,
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


def test_variables_are_made_under_the_strategy_of_the_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with variable_scope(model):
        model.optimizer.build(model.trainable_variables)
    assert model.optimizer.built
    tensorflow = keras.backend.backend() == "tensorflow"
    assert hasattr(model, "distribute_strategy") == tensorflow
    assert replicas_of(model) == 1


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


jax_only = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="of Keras's trainer on JAX"
)


@jax_only
def test_a_data_adapter_of_ours_is_taken_as_it_is():
    from keras.src.trainers.data_adapters import get_data_adapter

    adapter = OneTurn("word")
    assert get_data_adapter(adapter) is adapter
    assert [list(batch) for batch in adapter.get_jax_iterator()] == [["word"]]
    assert adapter.num_batches == 1


@jax_only
def test_all_rows_are_one_batch_with_the_types_of_a_step():
    x, y = {"a": np.ones((5, 2))}, np.arange(5)
    [found, labels] = whole_batch(x, y, None)
    assert (found["a"].dtype, found["a"].shape) == (np.float32, (5, 2))
    np.testing.assert_array_equal(labels, y)
    assert len(whole_batch(x, y, np.ones(5))) == 3


def test_the_last_rows_are_those_of_a_validation():
    first, last = split_rows((np.arange(10), None), 0.25)
    np.testing.assert_array_equal(first[0], np.arange(7))
    np.testing.assert_array_equal(last[0], np.arange(7, 10))


@jax_only
def test_values_of_an_epoch_are_held_beside_the_variables():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    lists = (model.trainable_variables, model.non_trainable_variables)
    lists += (model.optimizer.variables, model.metrics_variables)
    state = tuple([variable.value + 1 for variable in found] for found in lists)
    for sync in (sync_held_state, keras.Model.jax_state_sync):
        hold_state(model, state)
        assert held_state(model, state) is state
        sync(model)
        again = held_state(model, state)
        for expected, values in zip(state, again, strict=True):
            for one, other in zip(expected, values, strict=True):
                assert one is other or np.array_equal(one, other)


def test_a_board_that_profiles_is_known():
    board = keras.callbacks.TensorBoard()
    assert board._should_trace is False
    assert not profiles_batches(board)
    # On JAX Keras profiles from Python 3.12 on only, and turns it off before.
    board._init_profile_batch(3)
    assert profiles_batches(board)
    assert traces_with_flax() is False


def test_variables_without_values_take_no_memory():
    with without_values():
        network = keras.Sequential([keras.Input((10**6,)), keras.layers.Dense(10**6)])
        assert [tuple(v.shape) for v in network.variables] == [(10**6,) * 2, (10**6,)]
    # Nothing of it is left for the next network to make.
    again = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    assert again.predict(np.ones((1, 2)), verbose=0).shape == (1, 3)


SEEDED_AND_SAVED = """
import json, random, sys
import keras, numpy
from coloss import JointModel
from coloss.joint.keras_internals import set_random_seed

def drawn():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    weights = keras.ops.convert_to_numpy(layer.kernel).tolist()
    return [random.random(), numpy.random.random(), weights]

set_random_seed(7)
before = drawn()
net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
JointModel({"net": net}).save(sys.argv[1])
alone = "tensorflow" not in sys.modules
keras.utils.set_random_seed(7)
print(json.dumps([alone, before == drawn(), "tensorflow" in sys.modules]))
"""


def test_seeds_and_files_do_not_import_tensorflow(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", SEEDED_AND_SAVED, str(tmp_path / "net.keras")],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    alone, same, later = json.loads(run.stdout.splitlines()[-1])
    assert same
    assert later, "Keras no longer looks for TensorFlow: this function can go"
    assert alone == (keras.backend.backend() != "tensorflow")


def test_a_seed_gives_the_draws_of_keras():
    found = []
    for put in (set_random_seed, keras.utils.set_random_seed):
        put(3)
        found.append(keras.ops.convert_to_numpy(keras.random.normal((4,))))
    np.testing.assert_array_equal(*found)
