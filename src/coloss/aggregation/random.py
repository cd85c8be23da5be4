"""Random: weights drawn anew in each step, the test that every method must pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.typing import Seed, State, Tensor


def random_weights(normal: Tensor) -> Tensor:
    r"""Random weights (Lin et al. 2022, TMLR, "Reasonable Effectiveness of RLW").

    $$w = \mathrm{softmax}(x), \qquad x_k \sim N(0, 1)$$

    Args:
        normal: (K,) x.

    Returns:
        (K,), positive, of sum 1.
    """
    # Not ops.softmax, which warns of one summand.
    raised = ops.exp(normal - ops.max(normal))
    return raised / ops.sum(raised)


@dataclass(frozen=True)
class Random(Aggregator):
    """Random weights: what a method must beat to have shown something.

    See `random_weights`. Level: coefficient, for no gradient is read.
    """

    level: ClassVar[str] = "coefficient"
    reads_gramian: ClassVar[bool] = False
    draws: ClassVar[bool] = True

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        shape = (int(gramian.shape[0]),)
        normal = keras.random.normal(shape, dtype=gramian.dtype, seed=seed)
        return random_weights(normal), state
