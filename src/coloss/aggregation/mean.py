"""Mean: the gradients' average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.typing import Seed, State, Tensor


def mean_weights(gramian: Tensor) -> Tensor:
    """Weights of the mean.

    $$w_k = 1/K$$

    Args:
        gramian: (K, K); only its shape is used.

    Returns:
        (K,), to rounding.
    """
    return ops.ones_like(gramian[0]) / gramian.shape[0]


@dataclass(frozen=True)
class Mean(Aggregator):
    """The average, on whose scale most methods are. See `mean_weights`.

    Level: coefficient, for no gradient is read.
    """

    level: ClassVar[str] = "coefficient"
    reads_gramian: ClassVar[bool] = False

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        return mean_weights(gramian), state
