"""Batches of a streamed file, as Keras takes them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import keras
import numpy as np

from coloss.data.row_groups import RowGroups

WINDOW = 128 * 2**20
"""Bytes of row groups that are mixed with each other."""


class StreamedBatches(keras.utils.PyDataset):
    """Batches of some rows of a file that is read while training.

    Row groups are read in random order, and rows are mixed within windows of several:
    a file that is sorted by class is best shuffled once before.

    Args:
        groups: of the file.
        y: (rows of the file,) labels.
        chosen: (rows of the file,) whether a row is meant.
        size: rows a batch.
        seed: of the order; None: the order of the file.
        complete: what is known of rows that are missing, as a joint model asks for.
    """

    def __init__(
        self,
        groups: RowGroups,
        y: np.ndarray,
        chosen: np.ndarray,
        size: int,
        seed: int | None,
        complete: object = None,
    ) -> None:
        """Plan the first epoch."""
        super().__init__()
        self._groups, self._y = groups, y
        self._size, self._seed = size, seed
        if complete is not None:
            self.complete = complete
        self._local = [
            np.flatnonzero(chosen[groups.rows(n)]) for n in range(len(groups))
        ]
        self._rows = sum(len(rows) for rows in self._local)
        self._wide = max(1, WINDOW // max(1, groups.bytes))
        self._epoch, self._begun = 0, False
        self._held: tuple[int, dict[str, np.ndarray], np.ndarray] | None = None
        self._plan()

    def __len__(self) -> int:
        """Return the batches an epoch."""
        return math.ceil(self._rows / self._size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return a batch: inputs by member, and labels."""
        start = index * self._size
        stop = min(start + self._size, self._rows)
        pieces = []
        for number, (low, high) in enumerate(self._borders):
            if low < stop and high > start:
                x, y = self._window(number)
                rows = slice(max(start - low, 0), min(stop, high) - low)
                pieces.append(({n: v[rows] for n, v in x.items()}, y[rows]))
        x = {n: np.concatenate([p[0][n] for p in pieces]) for n in pieces[0][0]}
        return x, np.concatenate([y for _, y in pieces])

    def on_epoch_begin(self) -> None:
        """Go on to the order of the next epoch, after the first one."""
        self._epoch += self._begun
        self._begun = True
        self._plan()

    def get_state(self) -> dict[str, object]:
        """Return the place in the order of epochs, for a training that is resumed."""
        return {"epoch": self._epoch, "begun": self._begun}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Set what `get_state` returned."""
        self._epoch, self._begun = state["epoch"], bool(state["begun"])
        self._plan()

    def _plan(self) -> None:
        """Choose the order of row groups, and where each window begins and ends."""
        order = np.array([n for n, rows in enumerate(self._local) if len(rows)])
        if self._seed is not None:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(order)
        self._windows = [
            order[start : start + self._wide]
            for start in range(0, len(order), self._wide)
        ]
        counts = [sum(len(self._local[n]) for n in w) for w in self._windows]
        ends = np.cumsum([0, *counts]).tolist()
        self._borders = list(itertools.pairwise(ends))
        self._held = None

    def _window(self, number: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        if self._held is not None and self._held[0] == number:
            return self._held[1:]
        self._held = None  # The old one goes before the new one comes.
        xs, ys = [], []
        for group in self._windows[number]:
            rows = self._local[group]
            xs.append({n: v[rows] for n, v in self._groups.read(group).items()})
            ys.append(self._y[self._groups.rows(group)][rows])
        x: dict[str, np.ndarray] = {}
        random = np.random.default_rng((self._seed or 0, self._epoch, number))
        count = sum(map(len, ys))
        order = np.arange(count) if self._seed is None else random.permutation(count)
        for name in list(xs[0]):
            x[name] = np.concatenate([part.pop(name) for part in xs])[order]
        self._held = (number, x, np.concatenate(ys)[order])
        return self._held[1:]
