"""Minimax: the worst summand counts most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import ops

from coloss.checking import POSITIVE, Rules
from coloss.typing import State, Tensor
from coloss.weighting.base import Known, Weighting, softmax


@dataclass(frozen=True)
class Minimax(Weighting):
    r"""Descent for the networks, exponentiated ascent for the weights.

    $$w = K q, \quad q_k \leftarrow q_k e^{\eta L_k} / \sum_j q_j e^{\eta L_j}$$

    which tends to the saddle point of $\min_\theta \max_{q \in \Delta} \sum_k q_k
    L_k$: the worst summand is made as good as it can be. Works for summands of any
    sign, but compares them: bring them to one scale.

    Args:
        rate: $\eta$.

    Reference:
        Sagawa et al. 2020, "Distributionally Robust Neural Networks for Group
        Shifts", arXiv:1911.08731, algorithm 1.
    """

    rate: float = 0.01

    rules: ClassVar[Rules] = {"rate": POSITIVE}

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return log q, equal."""
        return {"logits": np.zeros(k, "float32")}

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return K q after one step of ascent; see `Weighting.update`."""
        logits = state["logits"] + self.rate * values
        # A softmax does not see a shift; without it they would grow without end.
        logits = logits - ops.max(logits)
        return ops.stop_gradient(softmax(logits)), {"logits": logits}
