"""IMTL-L: losses are brought to one scale by trained factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import ops

from coloss.typing import State, Tensor
from coloss.weighting.base import Known, Weighting


@dataclass(frozen=True)
class IMTLL(Weighting):
    r"""Weights under which every weighted loss tends to 1.

    $$\min \sum_k e^{s_k} L_k - s_k$$

    The model's optimizer moves s together with the networks; at its optimum
    $w_k L_k = 1$. With the aggregator `IMTLG` it is the whole method IMTL.

    Reference:
        Liu et al. 2021, "Toward Impartial Multi-task Learning", ICLR, section 3.2.
    """

    positive: ClassVar[bool] = True
    trained: ClassVar[tuple[str, ...]] = ("log_scale",)

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return s = 0: all weights are 1."""
        return {"log_scale": np.zeros(k, "float32")}

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return exp(s), not detached; see `Weighting.update`."""
        return ops.exp(state["log_scale"]), dict(state)

    def penalty(self, state: Mapping[str, Tensor]) -> Tensor:
        """Return minus the sum of s."""
        return -ops.sum(state["log_scale"])
