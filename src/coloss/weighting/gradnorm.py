"""GradNorm: gradients of one size, larger for a summand that lags behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import ops

from coloss.checking import NOT_NEGATIVE, POSITIVE, Rules
from coloss.typing import State, Tensor
from coloss.weighting import adam
from coloss.weighting.base import TINY, Known, Weighting


@dataclass(frozen=True)
class GradNorm(Weighting):
    r"""Gradient normalization.

    With the gradients' norms $n_k$, $G_k = w_k n_k$, their mean $\bar G$, and the
    inverse training rates $r_k = \tilde L_k / \mathrm{mean}(\tilde L)$,
    $\tilde L_k = L_k / L_k^{(0)}$, the weights take a step of Adam down

    $$\sum_k | G_k - \bar G r_k^\alpha |$$

    (the target held constant), and are brought back to the sum K. The gradients are
    those at all trained variables of the members; $L^{(0)}$ is the loss of the first
    step, in which all weights are 1.

    Args:
        alpha: how strongly a summand that lags behind is pushed.
        rate: Adam's step size for the weights.

    Reference:
        Chen et al. 2018, "GradNorm: Gradient Normalization for Adaptive Loss
        Balancing in Deep Multitask Networks", arXiv:1711.02257, algorithm 1.
    """

    alpha: float = 1.5
    rate: float = 0.025

    rules: ClassVar[Rules] = {
        "alpha": NOT_NEGATIVE,
        "rate": POSITIVE,
    }
    kind: ClassVar[str] = "gradient"
    positive: ClassVar[bool] = True
    least: ClassVar[float] = 1e-3
    """No weight falls below this: descent could carry it through 0."""

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return equal weights, and no first losses yet."""
        return {
            "weights": np.ones(k, "float32"),
            "begun": np.zeros(k, "float32"),
            **adam.start(k),
        }

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return this step's weights; the new ones are for the next.

        Args:
            state: see `Weighting.update`.
            values: (K,) losses.
            **known: `gramian`, (K, K); its diagonal is read.
        """
        weights = state["weights"]
        norms = ops.sqrt(ops.maximum(ops.diagonal(known["gramian"]), 0.0))
        # The first loss above 0 is where a summand's training rate is measured from.
        begun = ops.where(state["begun"] > 0, state["begun"], values)
        rates = values / ops.maximum(begun, TINY)
        rates = rates / ops.maximum(ops.mean(rates), TINY)
        sizes = weights * norms
        target = ops.mean(sizes) * ops.power(ops.maximum(rates, TINY), self.alpha)
        slope = ops.sign(sizes - target) * norms
        moved, slots = adam.step(weights, slope, state, self.rate)
        moved = ops.maximum(moved, self.least)
        moved = values.shape[0] * moved / ops.sum(moved)
        new = {"weights": moved, "begun": begun, **slots}
        return ops.stop_gradient(weights), new
