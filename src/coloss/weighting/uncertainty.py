"""Uncertainty: each summand's noise is learned, and a noisy one counts less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import ops

from coloss.checking import FINITE, Rules
from coloss.typing import State, Tensor
from coloss.weighting.base import Known, Weighting


@dataclass(frozen=True)
class Uncertainty(Weighting):
    r"""Weights from trained variances.

    $$\min \sum_k f_k e^{-s_k} L_k + s_k / 2, \quad s_k = \log \sigma_k^2$$

    with f = 1 for classification and 1/2 for regression: the likelihoods of a
    softmax at temperature $\sigma^2$ and of a Gaussian. The model's optimizer moves
    s together with the networks; at its optimum $w_k = 1 / (2 L_k)$.

    Args:
        start: s before the first step. 0 is weight f.

    Reference:
        Kendall, Gal and Cipolla 2018, "Multi-Task Learning Using Uncertainty to Weigh
        Losses for Scene Geometry and Semantics", arXiv:1705.07115, equations 7 to 10.
    """

    start: float = 0.0

    rules: ClassVar[Rules] = {"start": FINITE}
    positive: ClassVar[bool] = True
    trained: ClassVar[tuple[str, ...]] = ("log_variance",)

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return s, and the factor f of each summand."""
        kinds = kinds or ["mixed"] * k
        factors = [0.5 if kind == "regression" else 1.0 for kind in kinds]
        return {
            "log_variance": np.full(k, self.start, "float32"),
            "factor": np.array(factors, "float32"),
        }

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return f exp(-s), not detached; see `Weighting.update`."""
        return state["factor"] * ops.exp(-state["log_variance"]), dict(state)

    def penalty(self, state: Mapping[str, Tensor]) -> Tensor:
        """Return half the sum of s."""
        return 0.5 * ops.sum(state["log_variance"])
