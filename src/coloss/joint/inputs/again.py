"""The batches of a training once more, for who must look at them after the fact."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import keras

from coloss.joint.inputs.arrays import is_array_data, to_numpy
from coloss.joint.keras_internals import DEFAULT_BATCH, split_rows
from coloss.typing import ByMember, Nested, Tensor

MOST = 10_000
"""Batches of a dataset that may have no end."""

Batch = tuple[Mapping[str, Nested], ByMember, ByMember]
"""x, y and sample weights."""


def batches_again(
    x: Tensor,
    y: ByMember,
    sample_weight: ByMember,
    batch_size: int | None,
    held_out: float = 0.0,
) -> Iterator[Batch]:
    """Yield x, y and sample weights in the order of the data, unshuffled.

    Args:
        x: arrays by member, or a dataset, as `fit` takes it.
        y: labels, where `x` is arrays.
        sample_weight: weights, where `x` is arrays.
        batch_size: rows a batch of arrays; None: as in Keras.
        held_out: last share of the rows of arrays that are not trained on.

    Yields:
        Nothing for a generator: what it gave is gone.
    """
    if is_array_data(x):
        data = (dict(x), y, sample_weight)
        if held_out:
            data, _ = split_rows(data, held_out)
        rows, size = len(keras.tree.flatten(data[0])[0]), batch_size or DEFAULT_BATCH
        for start in range(0, rows, size):
            part = slice(start, min(start + size, rows))
            yield keras.tree.map_structure(
                lambda array, part=part: None if array is None else array[part], data
            )
        return
    if isinstance(x, keras.utils.PyDataset):
        number = min(x.num_batches or MOST, MOST)
        found: Iterator[Nested] = (x[place] for place in range(number))
    elif type(x).__module__.startswith("tensorflow.") and hasattr(x, "take"):
        found = iter(x.take(MOST).as_numpy_iterator())
    elif type(x).__module__.startswith("torch.utils.data"):
        found = itertools.islice(iter(x), MOST)
    else:
        return
    for batch in found:
        batch = keras.tree.map_structure(
            lambda leaf: None if leaf is None else to_numpy(leaf), batch
        )
        yield keras.utils.unpack_x_y_sample_weight(batch)
