"""FAMO: all losses are to fall at one rate, at the cost of one backward pass."""

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
class FAMO(Weighting):
    r"""Fast adaptive multitask optimization.

    $$w_k = K c \, z_k / L_k, \quad z = \mathrm{softmax}(\xi), \quad
      c = \big(\sum_k z_k / L_k\big)^{-1}$$

    and $\xi$ moves by Adam along $J_z^T \delta + \gamma \xi$, where
    $\delta_k = \log L_k^{(t)} - \log L_k^{(t+1)}$ is how far each loss fell. The
    authors read $L^{(t+1)}$ off the same batch, in a second forward pass; here it is
    the next step's, on the next batch, so that a step costs one forward pass. A
    summand without a defined row in a batch tells nothing there.

    Args:
        rate: Adam's step size for $\xi$.
        decay: $\gamma$.

    Reference:
        Liu et al. 2023, "FAMO: Fast Adaptive Multitask Optimization",
        arXiv:2306.03792, algorithm 1.
    """

    rate: float = 0.025
    decay: float = 0.01

    rules: ClassVar[Rules] = {
        "rate": POSITIVE,
        "decay": NOT_NEGATIVE,
    }
    positive: ClassVar[bool] = True

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return the logits, their Adam state, and no losses yet."""
        return {
            "logits": np.zeros(k, "float32"),
            "before": np.zeros(k, "float32"),
            **adam.start(k),
        }

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return K c z / L; see `Weighting.update`."""
        before = state["before"]
        told = ops.logical_and(before > 0, values > 0)
        fall = ops.log(ops.maximum(before, TINY)) - ops.log(ops.maximum(values, TINY))
        fall = ops.where(told, fall, 0.0)
        shares = ops.softmax(state["logits"])
        pull = shares * (fall - ops.sum(shares * fall)) + self.decay * state["logits"]
        moved, slots = adam.step(state["logits"], pull, state, self.rate)
        any_told = ops.any(told)  # Not in the first step.
        logits = ops.where(any_told, moved, state["logits"])
        slots = {
            name: ops.where(any_told, new, state[name]) for name, new in slots.items()
        }
        shares = ops.softmax(logits)
        ratios = shares / ops.maximum(values, TINY)
        ratios = ops.where(values > 0, ratios, 0.0) + 0.0 * values
        total = ops.sum(ratios)
        weights = values.shape[0] * ratios / ops.where(total > 0, total, 1.0)
        new = {"logits": logits, "before": values, **slots}
        return ops.stop_gradient(weights), new
