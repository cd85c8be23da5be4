"""A model that is saved and loaded goes on to the bits of one that was not."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests import saved_goes_on
from tests.checkpoint.interrupted import FIT, SEED, X, Y, build, number
from tests.checkpoint.test_resume import CASES

pytestmark = pytest.mark.backend


def states(model):
    """Return everything that training reads; names are counted up, the order stays."""
    return [number(v) for v in (*model.variables, *model.optimizer.variables)]


def trained(model, fit):
    keras.utils.set_random_seed(SEED)
    return model.fit(X, Y, **{**FIT, "epochs": 1, **fit}).history


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_model_goes_on_to_the_same_bits(case, tmp_path):
    fit = CASES[case].get("fit", {})
    model = build(**CASES[case].get("compiled", dict)())
    trained(model, fit)
    model.save(tmp_path / "joint.keras")
    keras.utils.set_random_seed(99)
    loaded = keras.saving.load_model(tmp_path / "joint.keras")
    for one, other in zip(states(loaded), states(model), strict=True):
        np.testing.assert_array_equal(one, other)
    again, history = trained(loaded, fit), trained(model, fit)
    assert again == history
    for one, other in zip(states(loaded), states(model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loss_scale_is_kept():
    assert saved_goes_on.compare("mixed_float16, a loss scale") == []


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="draws as it is built")
def test_a_recurrent_layer_draws_as_one_that_was_built_before():
    assert saved_goes_on.compare("LSTM, dropout") == []


def test_weights_alone_bring_the_seeds_too_where_layers_are_the_same(tmp_path):
    path = tmp_path / "joint.weights.h5"
    one, other = build(), build()
    assert not np.array_equal(seeds(one), seeds(other))
    one.save_weights(path)
    other.load_weights(path)
    np.testing.assert_array_equal(seeds(one), seeds(other))


def seeds(model):
    own = {id(weight) for weight in model["main"].weights}
    return [number(v) for v in model["main"].variables if id(v) not in own]
