"""The order in which an epoch takes its rows: that of Keras, draw for draw."""

from __future__ import annotations

import numpy as np


def draw_order(rows: int, size: int, shuffle: bool | str) -> np.ndarray | None:
    """Return the order of an epoch's rows, drawn as Keras draws it for arrays.

    The draws are those of `keras.src.trainers.data_adapters.array_data_adapter`, from
    NumPy's global generator, which `keras.utils.set_random_seed` seeds: a `fit` in
    blocks sees the same rows in the same steps as one without.

    Args:
        rows: of the data.
        size: of a batch.
        shuffle: as in `keras.Model.fit`: all rows, or "batch": within each batch.

    Returns:
        (rows,) int32; None: the rows as they stand.
    """
    if shuffle == "batch":
        starts = range(0, rows, size)
        within = [
            np.random.permutation(min(size, rows - start)) + start for start in starts
        ]
        return np.concatenate(within).astype("int32")
    if shuffle:
        return np.random.permutation(rows).astype("int32")
    return None
