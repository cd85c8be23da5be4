"""In which order a run sees its rows: by seed and epoch alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from coloss.joint.inputs.missing_rows import Complete
from coloss.typing import Nested


def order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """Return the order of the rows in an epoch, (rows,) int32.

    Runs of one seed share it whatever their arm, engine or backend is, so that they
    are pairs.

    Args:
        seed: of the run.
        epoch: from 0.
        rows: how many.
    """
    random = np.random.default_rng([seed, epoch])
    return random.permutation(rows).astype("int32")


class OrderedRows(keras.utils.PyDataset):
    """All epochs of a run, one after the other, in the order of `order`.

    One long epoch with `steps_per_epoch=steps`: the backends differ in when they tell
    a data set that an epoch has ended, and whether they have read ahead by then.

    Args:
        x: arrays by member.
        y: labels, one array or by member.
        batch_size: rows a step; the last batch of an epoch may be smaller.
        epochs: how many.
        seed: of the run.
        complete: members of which nothing is missing, so that no train step looks.

    Attributes:
        steps: batches an epoch.
    """

    def __init__(
        self,
        x: Nested,
        y: Nested,
        batch_size: int,
        epochs: int,
        seed: int,
        complete: Complete,
    ) -> None:
        """Keep the arrays."""
        super().__init__()
        self.complete = complete
        self._data = (x, y)
        self._size, self._epochs, self._seed = batch_size, epochs, seed
        self._rows = len(keras.tree.flatten(y)[0])
        self.steps = -(-self._rows // batch_size)
        self._known: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        """Return the number of batches in all epochs."""
        return self.steps * self._epochs

    def __getitem__(self, index: int) -> tuple[Nested, Nested]:
        """Return a batch (x, y)."""
        epoch, step = divmod(index, self.steps)
        if self._known[0] != epoch:
            self._known = (epoch, order(self._seed, epoch, self._rows))
        rows = self._known[1][step * self._size : (step + 1) * self._size]
        return keras.tree.map_structure(lambda array: array[rows], self._data)
