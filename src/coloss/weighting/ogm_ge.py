"""OGM-GE: the network that leads is slowed down, and shaken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from coloss.checking import POSITIVE, Rules
from coloss.typing import State, Tensor
from coloss.weighting.base import TINY, Known, Weighting


@dataclass(frozen=True)
class OGMGE(Weighting):
    r"""On-the-fly gradient modulation with generalization enhancement.

    With a network's mean probability of the true class $s_m$ and its ratio to that of
    the others, $\rho_m = s_m / \mathrm{mean}_{j \ne m} s_j$,

    $$k_m = 1 - \tanh(\alpha \rho_m) \text{ if } \rho_m > 1, \text{ else } 1$$

    multiplies the network's update. (The paper multiplies the gradient, which is the
    same under SGD; Adam would cancel it.) The generalization enhancement adds to each
    gradient Gaussian noise of its own standard deviation; the authors add it to
    convolution kernels, here it goes to every kernel (two or more axes).

    Args:
        alpha: how much a leader is slowed down.
        noise: whether noise is added.

    Reference:
        Peng et al. 2022, "Balanced Multimodal Learning via On-the-fly Gradient
        Modulation", CVPR, arXiv:2203.15332, equations 7 to 12.
    """

    alpha: float = 0.3
    noise: bool = True

    rules: ClassVar[Rules] = {"alpha": POSITIVE}
    kind: ClassVar[str] = "network"
    reads: ClassVar[str] = "probability"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if not isinstance(self.noise, bool):
            raise TypeError(
                f"`noise` of OGMGE must be True or False; found {self.noise!r}."
            )

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return each network's multiplier; see `Weighting.update`.

        Args:
            state: empty.
            values: (M,) mean probabilities of the true class.
            **known: nothing.
        """
        others = (ops.sum(values) - values) / (values.shape[0] - 1)
        ratio = values / ops.maximum(others, TINY)
        slowed = 1.0 - ops.tanh(self.alpha * ratio)
        return ops.stop_gradient(ops.where(ratio > 1.0, slowed, 1.0)), {}
