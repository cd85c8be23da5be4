"""The order of an epoch is Keras's, and blocks take half a second at most."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.src.trainers.data_adapters import get_data_adapter

from coloss.joint.epochs.order import draw_order
from coloss.joint.epochs.pace import FIRST, GROWTH, SECONDS, Pace


@pytest.mark.parametrize("shuffle", [True, "batch"])
@pytest.mark.parametrize("rows", [7, 12, 3])
def test_the_order_is_that_of_keras(rows, shuffle):
    adapter = get_data_adapter(np.arange(rows), batch_size=4, shuffle=shuffle)
    keras.utils.set_random_seed(3)
    epochs = [np.concatenate(list(adapter.get_jax_iterator())) for _ in range(2)]
    keras.utils.set_random_seed(3)
    for expected in epochs:
        np.testing.assert_array_equal(draw_order(rows, 4, shuffle), expected)


def test_rows_as_they_stand_draw_nothing():
    before = np.random.get_state()[1].copy()
    assert draw_order(7, 4, shuffle=False) is None
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_block_takes_as_long_as_was_measured():
    pace = Pace()
    assert pace.stop(0, 1000) == 1  # The compiler's.
    pace.measured(1, 30.0)
    assert pace.stop(1, 1000) == 1 + FIRST
    pace.measured(FIRST, FIRST * 0.01)
    assert pace.stop(9, 1000) == 9 + round(SECONDS / 0.01)
    assert pace.stop(9, 20) == 20
    pace.measured(50, 50 * 0.1)  # The machine has become busy.
    assert pace.stop(59, 1000) == 59 + round(SECONDS / 0.1)


def test_a_block_grows_step_by_step_and_is_never_empty():
    pace = Pace()
    pace.measured(1, 1.0)
    pace.measured(1, 1e-9)
    assert pace.stop(0, 10**6) == GROWTH
    pace.measured(GROWTH, 60.0)
    assert pace.stop(5, 10) == 6
    pace.steps = 3
    assert pace.stop(5, 10) == 8
