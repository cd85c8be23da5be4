"""GeometricMean: the product of the losses is minimized, whatever their scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from coloss.typing import State, Tensor
from coloss.weighting.base import TINY, Known, Weighting


@dataclass(frozen=True)
class GeometricMean(Weighting):
    r"""Geometric loss strategy: descend $G = (\prod_k L_k)^{1/K}$.

    Its gradient is that of a weighted sum. With the factor K, which brings equal
    losses to equal weights of 1,

    $$w_k = G / L_k$$

    A summand without a defined row in a batch is left out of the mean there.

    Reference:
        Chennupati et al. 2019, "MultiNet++: Multi-Stream Feature Aggregation and
        Geometric Loss Strategy for Multi-Task Learning", arXiv:1904.08492.
    """

    positive: ClassVar[bool] = True

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return G / L; see `Weighting.update`."""
        present = ops.cast(values > 0, "float32")
        logs = ops.log(ops.maximum(values, TINY))
        mean = ops.sum(present * logs) / ops.maximum(ops.sum(present), 1.0)
        # A NaN must go through: the guard of the step waits for it.
        weights = present * ops.exp(mean - logs) + 0.0 * values
        return ops.stop_gradient(weights), {}
