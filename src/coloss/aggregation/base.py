"""What every aggregator is: a configuration, and pure functions of a Gramian.

K summands have gradients g_1 .. g_K at the same parameters. An aggregator reads their
Gramian, G[i, j] = <g_i, g_j>, and returns K weights w; the parameters then move along
sum_k w_k g_k. Where the Gramian comes from, and at which level, is the engine's work.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import keras
import numpy as np
from keras import ops

from coloss.registry import Configured
from coloss.typing import Seed, State, Tensor

LEVELS = ("coefficient", "output", "parameter")


@dataclass(frozen=True)
class Aggregator(Configured, abc.ABC):
    """A way to combine the gradients of several summands.

    A subclass is a frozen dataclass whose fields are numbers, words, or None, and
    writes `_step`. It holds no tensors: what a method remembers is the state, plain
    arrays that go in and come out.
    """

    level: ClassVar[str] = "parameter"
    """Where the engine measures gradients unless told otherwise, one of `LEVELS`."""

    reads_gramian: ClassVar[bool] = True
    """False: the weights need no gradient; of the Gramian only the shape is used."""

    draws: ClassVar[bool] = False
    """Whether the weights depend on random numbers: then give `update` a seed."""

    def check(self, names: Sequence[str]) -> None:
        """Refuse what cannot work, before training.

        Args:
            names: the summands whose gradients are combined, as they print.

        Raises:
            ValueError: if the method cannot combine these.
        """
        if not names:
            raise ValueError(
                f"{type(self).__name__} combines the gradients of at least one "
                "summand; found none."
            )

    def bind(self, names: Sequence[str]) -> Self:
        """Check the names, and return the aggregator for them.

        Args:
            names: the summands whose gradients are combined, as they print, in the
                order of the Gramian.

        Returns:
            An aggregator whose `init` and `update` fit this order; the engine uses it
            in place of this one.

        Raises:
            ValueError: as `check`.
        """
        self.check(names)
        return self

    def init(self, k: int) -> dict[str, np.ndarray]:
        """Return the state before the first step: arrays by name, often none.

        Args:
            k: number of summands.
        """
        return {}

    def update(
        self, state: Mapping[str, Tensor], gramian: Tensor, seed: Seed = None
    ) -> tuple[Tensor, State]:
        """Return the weights of one step, and the state after it.

        Pure, of fixed shapes, without a word from the device: it can be traced.

        Args:
            state: what `init` or the last `update` returned.
            gramian: (K, K), symmetric, positive semi-definite.
            seed: a `keras.random.SeedGenerator` or an integer, for a method that
                draws.

        Returns:
            The (K,) weights, detached, in float32 (float64 for such a Gramian), and
            the new state. If the Gramian is not finite, the weights are NaN, and the
            state is the old one.

        Raises:
            ValueError: if the Gramian is not square, or a method that draws gets no
                seed.
        """
        gramian = as_gramian(gramian)
        if self.draws and seed is None:
            raise ValueError(
                f"{type(self).__name__} draws random numbers: give `seed`, an integer "
                "or a keras.random.SeedGenerator; found None."
            )
        old = {
            name: ops.cast(ops.convert_to_tensor(value), gramian.dtype)
            for name, value in state.items()
        }
        if not self.reads_gramian:
            weights, new = self._step(old, gramian, seed)
            return ops.stop_gradient(weights), new
        # Solvers may raise on a NaN, or lose it; the guard of the step must see it.
        finite = ops.all(ops.isfinite(gramian))
        eye = ops.eye(gramian.shape[0], dtype=gramian.dtype)
        weights, new = self._step(old, ops.where(finite, gramian, eye), seed)
        weights = ops.where(finite, weights, float("nan"))
        new = {name: ops.where(finite, new[name], old[name]) for name in old}
        return ops.stop_gradient(weights), new

    def weights(self, gramian: Tensor, seed: Seed = None) -> Tensor:
        """Return the weights of a first step.

        Args:
            gramian: (K, K), symmetric, positive semi-definite; NumPy or a tensor.
            seed: as in `update`.

        Returns:
            (K,).
        """
        gramian = as_gramian(gramian)
        return self.update(self.init(int(gramian.shape[0])), gramian, seed)[0]

    @abc.abstractmethod
    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        """Return weights and new state for a Gramian that was checked."""


def as_gramian(values: Tensor) -> Tensor:
    """Return a Gramian as a detached tensor, in float32 at least.

    Args:
        values: (K, K), NumPy or a tensor.

    Raises:
        ValueError: if it is not square, or empty.
    """
    if not keras.ops.is_tensor(values):
        values = np.asarray(values)
    tensor = ops.convert_to_tensor(values)
    shape = tuple(tensor.shape)
    if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
        raise ValueError(
            "`gramian` must be square, one row and one column a summand, with at "
            f"least one; found the shape {shape}."
        )
    if keras.backend.standardize_dtype(tensor.dtype) != "float64":
        tensor = ops.cast(tensor, "float32")
    return ops.stop_gradient(tensor)
