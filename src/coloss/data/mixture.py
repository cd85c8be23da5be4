"""Batches of labeled and unlabeled rows, without Keras."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from coloss.data.rows import Structure, joined, leaves, mapped, missing, unlabeled
from coloss.data.sources import Arrays, Stream
from coloss.typing import Rows

ONE = ""
"""The name of the input where it is one array, not one for each member."""


class Mixture:
    """The batches of `mix`, without Keras.

    Args:
        sources: labeled and unlabeled.
        sizes: rows of each in a batch.
        steps: batches an epoch; None: as many as the longer of the arrays needs.
    """

    def __init__(
        self,
        sources: tuple[Arrays | Stream, Arrays | Stream],
        sizes: tuple[int, int],
        steps: int | None,
    ) -> None:
        """Check that the sources fit each other."""
        self.sources, self.sizes = sources, sizes
        needed = [
            source.batches(size) if isinstance(source, Arrays) else 0
            for source, size in zip(sources, sizes, strict=True)
        ]
        if steps is None and not max(needed):
            raise ValueError(
                "both sources are iterables, which do not say how long an epoch is: "
                "give `steps`."
            )
        self.steps = steps or max(needed)
        # With `steps` given, an epoch has whole batches, and none ends early.
        self.once = [steps is None and number == self.steps for number in needed]
        first, second = (source.example["x"] for source in sources)
        if (ONE in first) != (ONE in second):
            raise TypeError(
                "x must be a dict by member in both sources, or one array in both."
            )
        self.form = {**second, **first}
        self.names = (*first, *(name for name in second if name not in first))
        _check_forms(first, second)
        for own, other in ((first, second), (second, first)):
            for name in own.keys() - other.keys():
                missing(own[name], 1, name)  # refuses what cannot be marked

    def batch(self, epoch: int, index: int) -> tuple[Structure, ...]:
        """Return (x, y) or (x, y, sample_weight): labeled rows, then unlabeled."""
        known, other = (
            source.rows_of(epoch, index, size, once)
            if isinstance(source, Arrays)
            else source.rows_of(size)
            for source, size, once in zip(
                self.sources, self.sizes, self.once, strict=True
            )
        )
        counts = [len(next(leaves(part["x"]))[1]) for part in (known, other)]
        x = {}
        for name in self.names:
            pieces = [
                part["x"][name] if name in part["x"] else self._missing(name, rows)
                for part, rows in zip((known, other), counts, strict=True)
            ]
            x[name] = joined(*pieces)
        y = joined(known["y"], unlabeled(known["y"], counts[1]))
        parts: tuple[Structure, ...] = (x.get(ONE, x), y)
        if "weight" in known:
            parts = (*parts, _with_ones(known["weight"], counts[1]))
        # As Keras does to arrays; half the memory, and one dtype from all sources.
        return tuple(mapped(_single, part) for part in parts)

    def _missing(self, name: str, rows: int) -> Structure:
        return missing(self.form[name], rows, name)


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype("float32") if array.dtype == "float64" else array


def _with_ones(weight: Rows, rows: int) -> Rows:
    if isinstance(weight, Mapping):
        return {name: _with_ones(value, rows) for name, value in weight.items()}
    return np.concatenate([weight, np.ones((rows, *weight.shape[1:]), weight.dtype)])


def _check_forms(first: dict[str, Structure], second: dict[str, Structure]) -> None:
    for name in first.keys() & second.keys():
        forms = [
            [(place, array.shape[1:]) for place, array in leaves(x[name])]
            for x in (first, second)
        ]
        if forms[0] != forms[1]:
            of = f" of {name!r}" if name else ""
            labeled, other = (_told(form) for form in forms)
            raise ValueError(
                f"x{of} has rows of shape {labeled} in `labeled` and {other} in "
                "`unlabeled`."
            )


def _told(form: list[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(
        f"{place} {shape}" if place else str(shape) for place, shape in form
    )
