"""How a weighting acts on a training step: one class for each thing that it weighs.

A weighting of losses multiplies the summands; one of networks multiplies the networks'
updates; one of gradients weighs what meets inside a network. Without a weighting
everything keeps its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from coloss.joint.balance.gramian import gramian_of_combinations
from coloss.joint.balance.parameter_groups import ParameterGroup
from coloss.joint.balance.plan import Plan
from coloss.joint.balance.state_arrays import StateArrays
from coloss.joint.balance.statistics import BalanceStatistics
from coloss.typing import Tensor

GroupWeights = list[Tensor | None]
"""(k,) weights for each group's summands; None: they are added as they are."""


@dataclass(frozen=True)
class Scores:
    """What a weighting of networks reads of a batch.

    Attributes:
        numbers: (M,) one a network.
        rows: (M,) on how many rows each was measured.
    """

    numbers: Tensor
    rows: Tensor


@dataclass
class EqualWeights:
    """Nothing is weighed.

    Attributes:
        plan: what `compile` was told.
        state: what the weighting remembers.
        steering: what it leaves for the update: rates, and the gate of validation.
        statistics: where it notes what it did.
        seed: of its random numbers; None where it draws none.
    """

    plan: Plan
    state: StateArrays
    steering: StateArrays
    statistics: BalanceStatistics
    seed: keras.random.SeedGenerator | None

    def weigh(self, values: Tensor, epoch: Tensor | None) -> Weighed:
        """Return the weights of this step's summands, and take one step.

        Args:
            values: (K,) of the summands, detached.
            epoch: a scalar, where the weighting needs it.
        """
        return KEPT

    def pace(self, scores: Scores, epoch: Tensor | None) -> None:
        """Set how far each network moves in this step."""

    def validate(self, scores: Scores) -> None:
        """Look at a batch of validation rows."""

    def forget_validation(self) -> None:
        """Forget evaluations outside of `fit`, which may have been of test rows."""

    def in_groups(
        self,
        groups: Sequence[ParameterGroup],
        gramians: Sequence[Tensor | None],
        values: Tensor,
    ) -> GroupWeights:
        """Return the weights of each group's summands, from their gradients."""
        return [None for _ in groups]

    def noised(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return the gradients as they move the networks."""
        return gradients


@dataclass(frozen=True)
class Weighed:
    """What a weighting makes of the summands.

    Attributes:
        weights: (K,); None: they keep their own.
        penalty: added to the weighted sum; None: nothing.
    """

    weights: Tensor | None = None
    penalty: Tensor | None = None

    def apply(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Return the summands' values, weighed."""
        if self.weights is None:
            return list(values)
        return [value * self.weights[k] for k, value in enumerate(values)]

    def scale(self, row: Tensor, k: int) -> Tensor:
        """Return the gradient of summand k as it is after weighing."""
        if self.weights is None:
            return row
        return row * ops.cast(ops.stop_gradient(self.weights[k]), row.dtype)


KEPT = Weighed()


class LossWeights(EqualWeights):
    """Weighs the summands by their values."""

    def weigh(self, values: Tensor, epoch: Tensor | None) -> Weighed:
        """Return the weights of this step's summands, and take one step."""
        method, state = self.plan.method, self.state.read()
        weights, new = method.update(state, values, epoch=epoch, seed=self.seed)
        # PyTorch refuses a gradient through what was assigned after it was read.
        self.state.write({k: v for k, v in new.items() if v is not state.get(k)})
        self.statistics.note_weights(weights)
        return Weighed(weights, method.penalty(state))


class NetworkPace(EqualWeights):
    """Multiplies each network's updates; Adam would cancel a factor of its gradient."""

    def pace(self, scores: Scores, epoch: Tensor | None) -> None:
        """Set how far each network moves in this step."""
        state = self.state.read()
        rates, new = self.plan.method.update(
            state, scores.numbers, epoch=epoch, seed=self.seed
        )
        # A batch in which one network has no labels says nothing about their balance.
        known = ops.all(scores.rows > 0)
        self.state.write({k: ops.where(known, new[k], state[k]) for k in new})
        rates = ops.where(known, rates, ops.ones_like(rates))
        self.steering.write({"rates": rates})
        self.statistics.note_rates(rates)

    def validate(self, scores: Scores) -> None:
        """Take in a batch of validation rows, as many as every network has."""
        if not self.plan.validates:
            return
        is_validation = ops.convert_to_tensor(self.steering.variable("gate"))
        size = ops.min(scores.rows) * is_validation
        state = self.state.read()
        self.state.write(self.plan.method.validate(state, scores.numbers, size))

    def forget_validation(self) -> None:
        """Forget evaluations outside of `fit`, which may have been of test rows."""
        if not self.plan.validates:
            return
        for key in ("validation", "validation_rows"):
            variable = self.state.variable(key)
            variable.assign(ops.zeros_like(ops.convert_to_tensor(variable)))

    def noised(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return the gradients, with the method's noise on those of kernels."""
        if not self.plan.weighting_has("noise"):
            return gradients
        return [self._noised(gradient) for gradient in gradients]

    def _noised(self, gradient: Tensor) -> Tensor:
        if len(gradient.shape) < 2:  # The paper's noise is for kernels, not biases.
            return gradient
        dense = ops.convert_to_tensor(gradient)
        noise = keras.random.normal(dense.shape, dtype=dense.dtype, seed=self.seed)
        return dense + ops.std(dense) * noise


class OwnAgainstOthers(EqualWeights):
    """Weighs, inside each network, its own summands against those that couple it."""

    def in_groups(
        self,
        groups: Sequence[ParameterGroup],
        gramians: Sequence[Tensor | None],
        values: Tensor,
    ) -> GroupWeights:
        """Return the weights of each group's summands, from their gradients."""
        found: GroupWeights = []
        for group, gramian in zip(groups, gramians, strict=True):
            own = [float(self.plan.alone(k, group)) for k in group.summands]
            if gramian is None or len(set(own)) < 2:
                found.append(None)
                continue
            mask = ops.convert_to_tensor(own, dtype="float32")
            weights, _ = self.plan.method.update({}, mask, gramian=gramian)
            found.append(weights)
        return found


class GradientWeights(EqualWeights):
    """Weighs the summands by their gradients at all variables together."""

    def in_groups(
        self,
        groups: Sequence[ParameterGroup],
        gramians: Sequence[Tensor | None],
        values: Tensor,
    ) -> GroupWeights:
        """Return the weights of each group's summands, from their gradients."""
        total: Tensor = 0.0
        for group, gramian in zip(groups, gramians, strict=True):
            # (K, k): the group's summands among all of them.
            among_all = _selection(group, len(self.plan.names))
            total = total + gramian_of_combinations(among_all, gramian)
        weights, new = self.plan.method.update(self.state.read(), values, gramian=total)
        self.state.write(new)
        self.statistics.note_weights(weights)
        return [ops.take(weights, list(group.summands)) for group in groups]


def _selection(group: ParameterGroup, count: int) -> Tensor:
    matrix = np.zeros((count, len(group.summands)), "float32")
    matrix[list(group.summands), np.arange(len(group.summands))] = 1.0
    return ops.convert_to_tensor(matrix)


def weigher_type(plan: Plan) -> type[EqualWeights]:
    """Return how a plan's weighting acts on a step."""
    if plan.kind == "gradient":
        return GradientWeights if plan.whole else OwnAgainstOthers
    return {"loss": LossWeights, "network": NetworkPace}.get(plan.kind, EqualWeights)
