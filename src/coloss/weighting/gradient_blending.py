"""GradientBlending: a network that overfits is slowed down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import ops

from coloss.checking import POSITIVE, Rules
from coloss.typing import State, Tensor
from coloss.weighting.base import TINY, Known, Weighting


@dataclass(frozen=True)
class GradientBlending(Weighting):
    r"""Weights by the overfitting-to-generalization ratio, from epoch to epoch.

    With a network's mean training and validation losses at the end of an epoch, T and
    V, and those of the first epoch, its gain and its overfitting are

    $$G_m = V_m^{(1)} - V_m, \quad O_m = (V_m - T_m) - (V_m^{(1)} - T_m^{(1)}), \quad
      w_m = M \frac{G_m / O_m^2}{\sum_j G_j / O_j^2}$$

    with G not below 0, for a network that has gained nothing on validation rows
    deserves no weight, and |O| not below `least` of the network's first validation
    loss. If no network has gained, the weights stay as they were. w multiplies the
    network's update, for Adam would cancel a factor of its loss. Needs validation data
    in `fit`; the first two epochs have weights of 1.

    Args:
        least: the smallest |O|, relative: where nothing is overfitted yet, the
            quotient would explode.

    Reference:
        Wang, Tran and Feiszli 2020, "What Makes Training Multi-Modal Classification
        Networks Hard?", CVPR, arXiv:1905.12681, equation 6 and algorithm 2 (online).
    """

    least: float = 0.01

    rules: ClassVar[Rules] = {"least": POSITIVE}
    kind: ClassVar[str] = "network"
    reads: ClassVar[str] = "loss"
    by_epoch: ClassVar[bool] = True
    validates: ClassVar[bool] = True

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return sums of this epoch, and the means of the first."""
        names = ("train", "validation", "first_train", "first_validation")
        counts = ("rows", "validation_rows", "finished", "epoch")
        return {
            "weights": np.ones(k, "float32"),
            **{name: np.zeros(k, "float32") for name in names},
            **{name: np.zeros((), "float32") for name in counts},
        }

    def validate(
        self, state: Mapping[str, Tensor], values: Tensor, rows: Tensor
    ) -> State:
        """Take in a validation batch; see `Weighting.validate`."""
        new = dict(state)
        new["validation"] = state["validation"] + rows * values
        new["validation_rows"] = state["validation_rows"] + rows
        return new

    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return each network's multiplier; see `Weighting.update`.

        Args:
            state: see `validate`.
            values: (M,) mean training losses.
            **known: `epoch`.
        """
        epoch = ops.cast(known["epoch"], "float32")
        turned = ops.not_equal(epoch, state["epoch"])
        seen = ops.logical_and(state["rows"] > 0, state["validation_rows"] > 0)
        closed = ops.logical_and(turned, seen)
        train = state["train"] / ops.maximum(state["rows"], 1.0)
        held = state["validation"] / ops.maximum(state["validation_rows"], 1.0)
        first = ops.logical_and(closed, state["finished"] < 1.0)
        later = ops.logical_and(closed, state["finished"] >= 1.0)
        fresh = self._weights(state, train, held)
        weights = ops.where(later, fresh, state["weights"])

        def cleared(name: str) -> Tensor:
            return ops.where(turned, ops.zeros_like(state[name]), state[name])

        return ops.stop_gradient(weights), {
            "weights": weights,
            "train": cleared("train") + values,
            "validation": cleared("validation"),
            "first_train": ops.where(first, train, state["first_train"]),
            "first_validation": ops.where(first, held, state["first_validation"]),
            "rows": cleared("rows") + 1.0,
            "validation_rows": cleared("validation_rows"),
            "finished": state["finished"] + ops.cast(closed, "float32"),
            "epoch": epoch,
        }

    def _weights(
        self, state: Mapping[str, Tensor], train: Tensor, held: Tensor
    ) -> Tensor:
        begun = state["first_validation"]
        gain = ops.maximum(begun - held, 0.0)
        spread = (held - train) - (begun - state["first_train"])
        floor = self.least * ops.maximum(ops.abs(begun), TINY)
        raw = gain / ops.square(ops.maximum(ops.abs(spread), floor))
        total = ops.sum(raw)
        scaled = train.shape[0] * raw / ops.where(total > 0, total, 1.0)
        return ops.where(total > 0, scaled, state["weights"])
