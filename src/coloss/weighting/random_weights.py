"""RandomWeights: fresh random weights in every step, the litmus test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import keras

from coloss.typing import State, Tensor
from coloss.weighting.base import Known, Weighting, softmax


@dataclass(frozen=True)
class RandomWeights(Weighting):
    r"""Fresh random weights in every step: what a weighting must beat.

    $$w = K \, \mathrm{softmax}(z), \quad z \sim \mathcal{N}(0, I_K)$$

    Works for summands of any sign. The numbers are Keras's, which differ between
    backends.

    Reference:
        Lin et al. 2022, "Reasonable Effectiveness of Random Weighting: A Litmus Test
        for Multi-Task Learning", arXiv:2111.10603.
    """

    draws: ClassVar[bool] = True

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return new weights; see `Weighting.update`."""
        noise = keras.random.normal((values.shape[0],), seed=known["seed"])
        return softmax(noise), {}
