"""DWA: a summand that falls more slowly than the others gets more weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import ops

from coloss.checking import POSITIVE, Rules
from coloss.typing import State, Tensor
from coloss.weighting.base import TINY, Known, Weighting, softmax


@dataclass(frozen=True)
class DWA(Weighting):
    r"""Dynamic weight average.

    $$w_k = K \, \mathrm{softmax}_k(r_k / T), \quad
      r_k = \bar L_k^{(e-1)} / \bar L_k^{(e-2)}$$

    with the mean of a loss over an epoch, $\bar L^{(e)}$. In the first two epochs the
    weights are 1. Epochs are those of `fit`; outside of it nothing changes.

    Args:
        temperature: T; the larger, the nearer to equal weights.

    Reference:
        Liu, Johns and Davison 2019, "End-to-End Multi-Task Learning with Attention",
        arXiv:1803.10704, equation 7.
    """

    temperature: float = 2.0

    rules: ClassVar[Rules] = {"temperature": POSITIVE}
    positive: ClassVar[bool] = True
    by_epoch: ClassVar[bool] = True

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return sums of this epoch, and the means of the last two."""
        return {
            "weights": np.ones(k, "float32"),
            "total": np.zeros(k, "float32"),
            "last": np.zeros(k, "float32"),
            "count": np.zeros((), "float32"),
            "finished": np.zeros((), "float32"),
            "epoch": np.zeros((), "float32"),
        }

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return the epoch's weights; see `Weighting.update`."""
        epoch = ops.cast(known["epoch"], "float32")
        turned = ops.logical_and(
            ops.not_equal(epoch, state["epoch"]), state["count"] > 0
        )
        mean = state["total"] / ops.maximum(state["count"], 1.0)
        ratio = mean / ops.maximum(state["last"], TINY)
        both = ops.logical_and(turned, state["finished"] >= 1.0)
        weights = ops.where(both, softmax(ratio / self.temperature), state["weights"])
        zero = ops.zeros_like(mean)
        return ops.stop_gradient(weights), {
            "weights": weights,
            "total": ops.where(turned, zero, state["total"]) + values,
            "last": ops.where(turned, mean, state["last"]),
            "count": ops.where(turned, 0.0, state["count"]) + 1.0,
            "finished": state["finished"] + ops.cast(turned, "float32"),
            "epoch": epoch,
        }
