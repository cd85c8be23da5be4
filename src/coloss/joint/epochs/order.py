"""The order in which an epoch takes its rows: that of Keras, draw for draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import keras
import numpy as np

from coloss.typing import Nested


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


class RowOrder:
    """In which order the rows of a `fit` come, epoch by epoch.

    Args:
        rows: of the data.
        size: of a batch.
        shuffle: as in `keras.Model.fit`.

    Attributes:
        present: (rows,) the order of the running epoch; None: as the rows stand.
        first: the step with which it begins: not 0 where an epoch goes on that was
            interrupted.
        pause: from a step to the one before which steps taken in blocks must stop.
    """

    def __init__(self, rows: int, size: int, shuffle: bool | str) -> None:
        """Draw nothing yet."""
        self.rows, self.size, self.shuffle = rows, size, shuffle
        self.present: np.ndarray | None = None
        self.first = 0
        self.pause: Callable[[int], int] = lambda step: self.steps
        self._interrupted: tuple[np.ndarray | None, int] | None = None

    @property
    def steps(self) -> int:
        """The steps of an epoch, the small last one included."""
        return math.ceil(self.rows / self.size)

    def go_on(self, order: np.ndarray | None, first: int) -> None:
        """Let the next epoch be one that was interrupted.

        Args:
            order: (rows,) of it.
            first: the first step that it did not take.
        """
        self._interrupted = (order, first)

    def draw(self) -> np.ndarray | None:
        """Return the order of the next epoch; see `draw_order`."""
        if self._interrupted is not None:
            (self.present, self.first), self._interrupted = self._interrupted, None
        else:
            order = draw_order(self.rows, self.size, self.shuffle)
            self.present, self.first = order, 0
        return self.present

    def batches(self) -> Iterator[np.ndarray | slice]:
        """Yield the rows of each batch of an epoch; draws when the first is asked."""
        order = self.draw()
        for start in range(0, self.rows, self.size):
            stop = min(start + self.size, self.rows)
            yield slice(start, stop) if order is None else order[start:stop]


def count_rows(arrays: Nested) -> int:
    """Return how many rows a structure of arrays (rows, ...) or None has."""
    leaves = keras.tree.flatten(arrays)
    return next(len(leaf) for leaf in leaves if leaf is not None)
