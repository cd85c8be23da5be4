"""Where `mix` takes its rows from: arrays in random order, or streams of batches."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from coloss.data.rows import Structure, as_arrays, count, joined, leaves, take

Parts: TypeAlias = dict[str, Any]
"""`x` by member, `y`, and `weight`, of those that there are."""

Batches: TypeAlias = Iterable[Structure] | Callable[[], Iterable[Structure]]
"""Batches, or a function that begins them anew."""


class Arrays:
    """Rows of arrays; each pass is a new permutation.

    Args:
        parts: a structure of arrays of equal numbers of rows.
        what: what it is, for messages.
        key: numbers that, with epoch and pass, decide the order.
    """

    def __init__(self, parts: Parts, what: str, key: tuple[int, ...]) -> None:
        """Store the arrays; nothing is copied."""
        self.parts, self.key = as_arrays(parts), key
        self.rows = count(self.parts, what)
        self._order: dict[tuple[int, int], np.ndarray] = {}

    @property
    def example(self) -> Parts:
        """Some rows, for shapes and dtypes."""
        return take(self.parts, slice(0, 1))

    def batches(self, size: int) -> int:
        """Return how many batches of `size` rows cover the source once."""
        return math.ceil(self.rows / size)

    def rows_of(self, epoch: int, index: int, size: int, once: bool) -> Parts:
        """Return the rows of a batch.

        Args:
            epoch: from 0.
            index: of the batch in its epoch.
            size: rows a batch.
            once: whether the source ends after one pass; the last batch is smaller
                then. Otherwise it begins again, in a new order.
        """
        start, stop = index * size, (index + 1) * size
        if once:
            stop = min(stop, self.rows)
        passes = range(start // self.rows, (stop - 1) // self.rows + 1)
        pieces = [
            self._pass(epoch, number)[
                max(start - number * self.rows, 0) : stop - number * self.rows
            ]
            for number in passes
        ]
        return take(self.parts, np.concatenate(pieces))

    def _pass(self, epoch: int, number: int) -> np.ndarray:
        found = self._order.get((epoch, number))
        if found is None:
            random = np.random.default_rng((*self.key, epoch, number))
            found = random.permutation(self.rows)
            # A batch touches two passes at most, unless a pass is shorter than it.
            if len(self._order) >= 4:
                self._order = {}
            self._order[epoch, number] = found
        return found


class Stream:
    """Rows of an iterable of batches, in its order, begun again where it ends.

    Args:
        batches: an iterable of structures, or a function that returns one.
        what: what it is, for messages.
        read: turns one of its batches into a structure, or refuses it.
    """

    def __init__(
        self, batches: Batches, what: str, read: Callable[[Structure], Parts]
    ) -> None:
        """Read the first batch, which says what the rows look like."""
        self._given, self._what, self._read = batches, what, read
        self._lock = threading.Lock()
        self._iterator = self._start()
        self._held: Parts | None = None
        self.example = self._more()

    def rows_of(self, size: int) -> Parts:
        """Return the next rows."""
        # Workers of a PyDataset ask at the same time.
        with self._lock:
            while self._held is None or _rows(self._held) < size:
                self._more()
            found = take(self._held, slice(0, size))
            self._held = take(self._held, slice(size, None))
            return found

    def _more(self) -> Parts:
        batch = next(self._iterator, None)
        if batch is None:
            again = self._start()
            batch = next(again, None)
            if batch is None or again is self._iterator:
                raise ValueError(
                    f"{self._what} has come to its end and cannot be started again. "
                    "Give a list, a dataset, or a function that returns a generator."
                )
            self._iterator = again
        parts = as_arrays(self._read(batch))
        count(parts, f"a batch of {self._what}")
        self._held = parts if self._held is None else joined(self._held, parts)
        return take(parts, slice(0, 1))

    def _start(self) -> Iterator[Structure]:
        given = self._given
        if hasattr(given, "__getitem__") and hasattr(given, "num_batches"):
            # A PyDataset: its own iteration does not end.
            number = given.num_batches
            indices = itertools.count() if number is None else range(number)
            return (given[index] for index in indices)
        return iter(given() if callable(given) else given)


def is_stream(source: object) -> bool:
    """Return whether a source is an iterable of batches, as opposed to arrays."""
    if isinstance(source, dict | tuple) or hasattr(source, "shape"):
        return False
    if isinstance(source, list):
        return bool(source) and isinstance(source[0], dict | tuple)
    return isinstance(source, Iterable) or callable(source)


def _rows(parts: Parts) -> int:
    return next(len(array) for _, array in leaves(parts))
