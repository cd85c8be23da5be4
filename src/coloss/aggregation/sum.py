"""Sum: the gradients as the objective adds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.typing import Seed, State, Tensor


def sum_weights(gramian: Tensor) -> Tensor:
    """Weights of the sum: all 1.

    $$w_k = 1$$

    Args:
        gramian: (K, K); only its shape is used.

    Returns:
        (K,), exactly.
    """
    return ops.ones_like(gramian[0])


@dataclass(frozen=True)
class Sum(Aggregator):
    """Plain training: what no aggregator does, as a baseline. See `sum_weights`.

    Level: coefficient, for no gradient is read.
    """

    level: ClassVar[str] = "coefficient"
    reads_gramian: ClassVar[bool] = False

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        return sum_weights(gramian), state
