"""Batches of arrays, their rows in an order that is known, for TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from coloss.joint.keras_internals import ArraysInOrder
from coloss.typing import Tensor


class RowsInOrder(ArraysInOrder):
    """Arrays of which TensorFlow takes the rows that it is told."""

    def get_tf_dataset(self) -> tf.data.Dataset:
        """Return the batches of an epoch; the rows are looked up when it begins."""

        def chosen() -> Iterator[np.ndarray]:
            for rows in self.batches():
                if isinstance(rows, slice):
                    rows = np.arange(rows.start, rows.stop)
                yield rows

        spec = tf.TensorSpec((None,), "int64")
        places = tf.data.Dataset.from_generator(chosen, output_signature=spec)
        arrays = keras.tree.lists_to_tuples(self.arrays_for("tensorflow"))
        data = tf.data.Dataset.from_tensors(arrays).repeat()

        def cut(rows: Tensor, arrays: Tensor) -> Tensor:
            return keras.tree.map_structure(
                lambda array: None if array is None else tf.gather(array, rows), arrays
            )

        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        batches = tf.data.Dataset.zip((places, data)).map(cut).with_options(options)
        return batches.prefetch(tf.data.AUTOTUNE)
