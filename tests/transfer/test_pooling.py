"""Layer outputs of different shapes, brought to one."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.transfer.pooling import align, same_positions, to_vector

pytestmark = pytest.mark.backend

random = np.random.default_rng(0)


def array(*shape):
    return random.normal(size=shape).astype("float32")


def as_numpy(value):
    return keras.ops.convert_to_numpy(value)


def test_a_sequence_becomes_the_mean_of_its_real_positions():
    values = array(3, 4, 2)
    known = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]], bool)
    values[0, 2:] = np.nan  # padding may hold anything
    expected = [values[0, :2].mean(0), values[1, [0, 2, 3]].mean(0), [0, 0]]
    found = as_numpy(to_vector(values, known))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_map_becomes_its_mean_and_a_vector_stays():
    values = array(2, 3, 4, 5)
    np.testing.assert_allclose(
        as_numpy(to_vector(values)), values.mean((1, 2)), rtol=1e-5, atol=1e-6
    )
    vector = array(2, 5)
    assert to_vector(vector) is vector


def test_sequences_are_pooled_to_the_shorter_one():
    long, short = array(2, 6, 3), array(2, 2, 4)
    pair = same_positions(long, short)
    first, second = pair.learner, pair.source
    expected = long.reshape(2, 2, 3, 3).mean(2)
    np.testing.assert_allclose(as_numpy(first), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(as_numpy(second), short)


def test_maps_are_pooled_on_each_axis_to_the_smaller():
    pair = same_positions(array(1, 4, 2, 3), array(1, 2, 6, 5))
    assert tuple(pair.learner.shape) == (1, 2, 2, 3)
    assert tuple(pair.source.shape) == (1, 2, 2, 5)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (((2, 5), (2, 7)), ((2, 5), (2, 7))),
        (((2, 4, 5), (2, 7)), ((2, 5), (2, 7))),
        (((2, 4, 5), (2, 3, 3, 7)), ((2, 5), (2, 7))),
        (((2, 4, 5), (2, 2, 7)), ((2, 2, 5), (2, 2, 7))),
        (((2, 4, 5), (2, 4, 7)), ((2, 4, 5), (2, 4, 7))),
    ],
)
def test_align_keeps_as_much_as_both_have(shapes, expected):
    found = align(*(array(*shape) for shape in shapes))
    assert (tuple(found.learner.shape), tuple(found.source.shape)) == expected


def test_padded_sequences_become_vectors_where_rows_are_read_as_a_whole():
    known = np.array([[True, False, False], [False, False, False]])
    values = array(2, 3, 5)
    pair = align(array(2, 3, 4), values, learner_known=known)
    assert (tuple(pair.learner.shape), tuple(pair.source.shape)) == ((2, 4), (2, 5))
    # The source has no mask, and as many positions: it takes the learner's.
    np.testing.assert_allclose(as_numpy(pair.source)[0], values[0, 0], rtol=1e-6)
    np.testing.assert_array_equal(as_numpy(pair.mask), [True, False])


def test_each_side_of_a_whole_row_goes_by_its_own_mask():
    first, second = array(1, 3, 4), array(1, 3, 4)
    pair = align(
        first, second, np.array([[True, True, False]]), np.array([[False, True, True]])
    )
    np.testing.assert_allclose(as_numpy(pair.learner), first[:, :2].mean(1), rtol=1e-5)
    np.testing.assert_allclose(as_numpy(pair.source), second[:, 1:].mean(1), rtol=1e-5)


def test_positions_that_cannot_be_kept_are_refused():
    with pytest.raises(ValueError, match=r"learner is \(2, 4\).*two sequences"):
        align(array(2, 4), array(2, 3, 4), positions="required")


def test_padding_is_silent_on_both_sides_where_positions_are_kept():
    values, known = array(1, 3, 2), np.array([[True, True, False]])
    pair = align(values, values, learner_known=known, positions="required")
    assert not as_numpy(pair.learner)[0, 2].any()
    assert not as_numpy(pair.source)[0, 2].any()
    np.testing.assert_array_equal(as_numpy(pair.mask), known)


def test_a_pooled_position_is_the_mean_of_its_real_ones():
    long, short = array(1, 6, 2), array(1, 3, 2)
    known = np.array([[True, True, True, False, False, False]])
    long[0, 3:] = np.nan
    pair = align(long, short, learner_known=known, positions="optional")
    expected = [long[0, :2].mean(0), long[0, 2], [0, 0]]
    np.testing.assert_allclose(as_numpy(pair.learner)[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(as_numpy(pair.mask), [[True, True, False]])
