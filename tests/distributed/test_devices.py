"""Four devices train what one trains, and refuse what they cannot share."""

from __future__ import annotations

import importlib.util
import json

import pytest

from tests.devices import BOUND, started

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)


@pytest.fixture(scope="module")
def found():
    done = started([], 4, "tests.distributed.on_devices")
    assert not done.returncode
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["terms", "upgrad", "pcgrad", "dwa", "model parallel"])
def test_weights_are_those_of_one_device(found, name):
    assert found["gaps"][name] < BOUND


def test_a_layer_is_cut_over_devices(found):
    assert found["shard"] == [15, 3]


def test_a_resumed_training_has_the_same_bits(found):
    assert found["resumed"]


def test_what_is_saved_is_what_was_trained(found):
    assert found["saved"] < 1e-6


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            "size",
            "a batch of 30 rows cannot be divided among 4 devices; `batch_size` "
            "must be a multiple of 4, such as 28 or 32.",
        ),
        (
            "rows",
            "42 rows cannot be divided among 4 devices: the last batch would be "
            "uneven. Leave out 2 of them, or repeat 2.",
        ),
        ("validation", "validation data: 42 rows cannot"),
        ("evaluate", "42 rows cannot"),
        ("predict", "a batch of 30 rows cannot"),
        ("train_on_batch", "42 rows cannot"),
        ("built before", "'main' was built for 1 of the 4 devices"),
    ],
)
def test_uneven_batches_are_refused_before_training(found, call, said):
    assert found["refused"][call].startswith(said)
