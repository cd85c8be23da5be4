"""AGM: a network that is ahead of its usual lead is slowed down, one behind hurried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import ops

from coloss.checking import POSITIVE, Rules
from coloss.typing import State, Tensor
from coloss.weighting.base import Known, Weighting


@dataclass(frozen=True)
class AGM(Weighting):
    r"""Adaptive gradient modulation.

    With a network's mean surprise at the true class $s_m = -\mathrm{mean} \log p$, over
    M networks, its lead on this batch and its usual lead are

    $$r_m = \exp\big(\tfrac{M}{M-1}(\bar s - s_m)\big), \quad
      \tau_m = \exp\big(\tfrac{M}{M-1}(\bar S - S_m)\big)$$

    where S is the running mean of s over all steps, and

    $$k_m = \exp(\alpha \min(\tau_m - r_m, c))$$

    multiplies the network's update (the paper: its gradient, which Adam would cancel).
    The paper finds each modality's response inside a fused network by Shapley values;
    here every network has an output of its own, which is that response.

    Args:
        alpha: how strongly updates are modulated.
        most: c, where the exponent ends.

    Reference:
        Li et al. 2023, "Boosting Multi-modal Model Performance with Adaptive Gradient
        Modulation", ICCV, arXiv:2308.07686, equations 6 to 12.
    """

    alpha: float = 1.0
    most: float = 7.0

    rules: ClassVar[Rules] = {"alpha": POSITIVE, "most": POSITIVE}
    kind: ClassVar[str] = "network"
    reads: ClassVar[str] = "surprise"

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return the running means, over no step yet."""
        return {"mean": np.zeros(k, "float32"), "steps": np.zeros((), "float32")}

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return each network's multiplier; see `Weighting.update`.

        Args:
            state: what `init` or the last `update` returned.
            values: (M,) mean surprises.
            **known: nothing.
        """
        steps = state["steps"] + 1.0
        mean = state["mean"] + (values - state["mean"]) / steps
        gap = _lead(mean) - _lead(values)
        rates = ops.exp(self.alpha * ops.minimum(gap, self.most))
        return ops.stop_gradient(rates), {"mean": mean, "steps": steps}


def _lead(surprise: Tensor) -> Tensor:
    count = surprise.shape[0]
    return ops.exp((ops.mean(surprise) - surprise) * count / (count - 1))
