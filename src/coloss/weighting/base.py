"""What every weighting is: a configuration, and pure functions of a few numbers.

A weighting reads K numbers a step and returns K weights. Of kind "loss" it reads the
summands' values; of kind "network" one number a network, and returns a multiplier of
that network's updates; of kind "gradient" the summands' Gramian, too. What it remembers
is its state: plain arrays that go in and come out.

Weights are on the scale of plain training: where a paper's weights sum to 1, ours sum
to K, so that equal weights are all 1 and a learning rate keeps its meaning.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from keras import ops

from coloss.registry import Configured
from coloss.typing import Seed, State, Tensor

Known: TypeAlias = "Tensor | Seed"
"""What an update may be told besides: the epoch, the Gramian, or a seed."""

TINY = 1e-8
"""The smallest loss that is divided by, or of which a logarithm is taken."""


@dataclass(frozen=True)
class Summand:
    """What a weighting may know of a summand before training.

    Attributes:
        text: as it prints.
        lowest: the least value it can take.
        kind: "classification", "regression", or "mixed".
        windowed: whether it counts in some epochs only.
    """

    text: str
    lowest: float = 0.0
    kind: str = "mixed"
    windowed: bool = False


@dataclass(frozen=True)
class Weighting(Configured, abc.ABC):
    """A way to weigh the summands of an objective, or its networks.

    A subclass is a frozen dataclass whose fields are numbers, words, or None.
    """

    kind: ClassVar[str] = "loss"
    """What is weighed: "loss", "network" or "gradient"."""

    positive: ClassVar[bool] = False
    """Whether every summand must be positive: it is divided by, or logged."""

    draws: ClassVar[bool] = False
    """Whether it draws random numbers: `update` then needs a seed."""

    trained: ClassVar[tuple[str, ...]] = ()
    """The entries of the state that gradient descent moves, not `update`."""

    by_epoch: ClassVar[bool] = False
    """Whether `update` needs to know the epoch."""

    reads: ClassVar[str] = "loss"
    """Of kind "network": what it reads of each network, "loss", or, of the true class,
    "probability" or "surprise"."""

    validates: ClassVar[bool] = False
    """Whether it reads validation rows, too: it then has a `validate` of its own."""

    def check(self, summands: Sequence[Summand]) -> None:
        """Refuse summands that cannot be weighed, before training.

        Args:
            summands: in order.

        Raises:
            ValueError: naming the first summand that is at fault.
        """
        if not self.positive:
            return
        name = type(self).__name__
        for summand in summands:
            if summand.lowest < 0:
                raise ValueError(
                    f"{name} assumes positive losses, and the summand "
                    f"`{summand.text}` can be negative: its weight would explode or "
                    "change sign. Write the objective without that difference, or "
                    "take a weighting for any sign (Minimax, RandomWeights, GradNorm) "
                    "or an aggregator."
                )
            if summand.windowed:
                raise ValueError(
                    f"{name} divides by each loss, and the summand `{summand.text}` "
                    "is 0 outside of its window of epochs. Leave out start=, stop= "
                    "and warmup=, or take RandomWeights or Minimax."
                )

    def init(self, k: int, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return the state before the first step: arrays by name.

        Args:
            k: number of summands (or networks).
            kinds: of the summands, as in `Summand`.
        """
        return {}

    @abc.abstractmethod
    def update(
        self, state: Mapping[str, Tensor], values: Tensor, **known: Known
    ) -> tuple[Tensor, State]:
        """Return the weights of one step, and the state after it.

        Pure, of fixed shapes, without a word from the device: it can be traced.

        Args:
            state: what `init` or the last `update` returned, as tensors.
            values: (K,) values of the summands on this batch, or one number a
                network.
            **known: `epoch` where `by_epoch`, a scalar tensor; `seed` where `draws`;
                `gramian` (K, K) of the kind "gradient".

        Returns:
            (K,) weights, and the new state. They are detached, unless something is
            `trained`.
        """

    def validate(
        self, state: Mapping[str, Tensor], values: Tensor, rows: Tensor
    ) -> State:
        """Return the state after a batch of validation rows.

        Args:
            state: what `init`, `update` or the last `validate` returned.
            values: (M,) mean losses.
            rows: their weight.
        """
        return dict(state)

    def penalty(self, state: Mapping[str, Tensor]) -> Tensor:
        """Return what is added to the weighted sum, so that weights do not collapse."""
        return ops.zeros((), dtype="float32")


def softmax(logits: Tensor) -> Tensor:
    """Return K times the softmax of (K,) logits: their mean is 1."""
    return logits.shape[0] * ops.softmax(logits)
