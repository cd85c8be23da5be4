"""MMPareto: inside each network, its own gradient and those that couple it agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from coloss.checking import POSITIVE, Rules
from coloss.typing import State, Tensor
from coloss.weighting.base import Known, Weighting

ROUNDING = 1e-6


@dataclass(frozen=True)
class MMPareto(Weighting):
    r"""Own against coupling gradient, in each network.

    Of a network, u is the gradient of the summands that train it alone, and v that of
    those that reach other networks or read them (a fused loss, a transfer term).

    $$h = 2 a u + 2 (1 - a) v, \quad a = \tfrac12 \text{ if } u \cdot v \ge 0, \text{
      else } \frac{v \cdot (v - u)}{\|u - v\|^2} \text{ within } [0, 1]$$

    (the point of least norm between both), and the network moves along

    $$\gamma \max\big(1, \|u + v\| / \|h\|\big) h$$

    so that agreement does not cost size. The authors take these norms variable by
    variable, here they are the network's. A network without one of both gradients is
    trained plainly. Adam cancels the constant factor $\gamma$.

    Args:
        gamma: the factor; 1 or more: noise that is said to generalize.

    Reference:
        Wei and Hu 2024, "MMPareto: Boosting Multimodal Learning with Innocent
        Unimodal Assistance", ICML, arXiv:2405.17730, algorithm 1.
    """

    gamma: float = 1.5

    rules: ClassVar[Rules] = {"gamma": POSITIVE}
    kind: ClassVar[str] = "gradient"

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return the weights of the summands inside one network.

        Args:
            state: empty.
            values: (K,) 1 for a summand that trains this network alone, 0 for one
                that couples it.
            **known: `gramian`, (K, K), of the gradients at this network.
        """
        gramian: Tensor = known["gramian"]
        own = ops.cast(values, gramian.dtype)
        other = 1.0 - own
        uu = ops.sum(own * ops.matmul(gramian, own))
        vv = ops.sum(other * ops.matmul(gramian, other))
        uv = ops.sum(own * ops.matmul(gramian, other))
        apart = ops.where(uv < 0, uu + vv - 2.0 * uv, 1.0)
        share = ops.where(uv < 0, ops.clip((vv - uv) / apart, 0.0, 1.0), 0.5)
        mixed = 2.0 * share * own + 2.0 * (1.0 - share) * other
        size = ops.sum(mixed * ops.matmul(gramian, mixed))
        plain = ops.maximum(uu + vv + 2.0 * uv, 0.0)
        # At a Pareto-stationary point h is rounding, which must not be scaled up.
        stationary = size <= ROUNDING * (uu + vv)
        scale = ops.sqrt(plain / ops.where(stationary, 1.0, size))
        scale = ops.where(stationary, 1.0, ops.maximum(scale, 1.0))
        weights = self.gamma * scale * mixed
        # A comparison may lose a NaN, which must reach the guard of the step.
        return ops.stop_gradient(weights + 0.0 * ops.sum(gramian)), {}
