"""Adaptive weights and combined gradients: what a joint model remembers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.joint.balance.gradient_basis import GradientBasis
from coloss.joint.balance.gramian import (
    Pull,
    Rows,
    gramian_of,
    gramian_of_combinations,
    rows_of,
    weighted_sum,
)
from coloss.joint.balance.parameter_groups import ParameterGroup, places, sharing
from coloss.joint.balance.plan import PLAIN, Plan
from coloss.joint.balance.state_arrays import StateArrays
from coloss.joint.balance.statistics import BalanceStatistics
from coloss.joint.balance.weighers import EqualWeights, GroupWeights, weigher_type
from coloss.typing import Store, Tensor


class Balance(keras.layers.Layer):
    """The state of a weighting and of an aggregator, and how they act on a step.

    Args:
        plan: what `compile` was told; `PLAIN`: plain training, and nothing is kept.

    Attributes:
        groups: where gradients are combined.
        weigher: how the weighting acts on a step.
        steering: arrays that a step leaves for its update or for the next step:
            `rates` (M,) of the networks, and `gate`, 1 while evaluation is validation.
        statistics: what weights and gradients did; steers nothing.
        seeds: of the random numbers; None where none are drawn.
    """

    def __init__(self, plan: Plan = PLAIN) -> None:
        """Create nothing yet: what is shared is known once members are built."""
        super().__init__(name="balance")
        self.plan = plan
        self.level: str | None = None
        self.groups: tuple[ParameterGroup, ...] = ()
        self._bound: tuple[Aggregator | None, ...] = ()
        self.aggregator_states: list[StateArrays] = []
        self.seeds = keras.random.SeedGenerator() if plan.draws else None
        self._create_weigher()
        self.built = plan.is_plain

    def _create_weigher(self) -> None:
        plan = self.plan
        self.weighting_state = StateArrays("weighting", plan.states(), plan.trained)
        steering: dict[str, np.ndarray] = {}
        if plan.networks:
            steering["rates"] = np.ones(len(plan.networks), "float32")
        if plan.validates:
            steering["gate"] = np.ones((), "float32")
        self.steering = StateArrays("steering", steering)
        # Of groups it is known when members are built; until then it is empty.
        self.statistics = BalanceStatistics(PLAIN, ())

    # --- what it is --------------------------------------------------------------

    @property
    def own_step(self) -> bool:
        """Whether the train step must take gradients apart, or scale updates."""
        return bool(self.networks) or self.combines

    @property
    def combines(self) -> bool:
        """Whether gradients of summands are combined in the train step."""
        return self.plan.combines(self.level)

    @property
    def networks(self) -> tuple[str, ...]:
        """The members whose updates are scaled."""
        return self.plan.networks

    @property
    def weigher(self) -> EqualWeights:
        """How the weighting acts on a step."""
        return weigher_type(self.plan)(
            self.plan, self.weighting_state, self.steering, self.statistics, self.seeds
        )

    def create(self, members: Mapping[str, keras.Model]) -> None:
        """Find the groups, and create every variable.

        Args:
            members: networks by name, built.

        Raises:
            ValueError: if members share layers in a way that the level cannot see,
                or no two summands meet anywhere.
        """
        if self.built:
            return
        self.groups = tuple(self.plan.groups(members))
        self.level = self.plan.level_for(sharing(members))
        self._bound = tuple(self.plan.aggregator_of(group) for group in self.groups)
        self._create_states()
        self.built = True

    def _create_states(self) -> None:
        self.statistics = BalanceStatistics(self.plan, self.groups)
        for index, (group, one) in enumerate(
            zip(self.groups, self._bound, strict=True)
        ):
            arrays = {} if one is None else one.init(len(group.summands))
            self.aggregator_states.append(StateArrays(f"aggregator_{index}", arrays))

    def set_gate(self, is_open: bool) -> None:
        """Say whether evaluation is validation now."""
        if "gate" in self.steering:
            self.steering.variable("gate").assign(float(is_open))

    # --- gradients ---------------------------------------------------------------

    def aggregate(
        self, gramians: Sequence[Tensor | None], values: Tensor
    ) -> GroupWeights:
        """Return the weights of each group's summands, and take one step.

        Args:
            gramians: (k, k) of each group; None where one summand is alone.
            values: (K,) of the summands, detached.

        Returns:
            (k,) for each group; None where a lone summand keeps its gradient.
        """
        if self.plan.aggregator is None:
            found = self.weigher.in_groups(self.groups, gramians, values)
        else:
            found = [
                self._aggregated(index, gramian)
                for index, gramian in enumerate(gramians)
            ]
        self.statistics.note_groups(gramians, found)
        return found

    def _aggregated(self, index: int, gramian: Tensor | None) -> Tensor | None:
        """Take one step of a group's aggregator."""
        bound = self._bound[index]
        if gramian is None or bound is None:
            return None
        state = self.aggregator_states[index]
        weights, new = bound.update(state.read(), gramian, self.seeds)
        state.write(new)
        return weights

    def meets(self, group: ParameterGroup) -> bool:
        """Whether a group's gradients are taken apart."""
        return self.plan.whole or len(group.summands) > 1

    def gradients(
        self,
        vjp: Pull,
        basis: GradientBasis,
        members: Mapping[str, keras.Model],
        variables: Sequence[keras.Variable],
    ) -> list[Tensor]:
        """Return the gradient that moves each variable.

        Args:
            vjp: takes gradients of the basis's values.
            basis: the K summands, what else is minimized, and what groups need.
            members: networks by name.
            variables: the trained variables of the joint model.
        """
        count = len(basis.summands)
        everywhere, rest = places(self.groups, members, variables)
        apart = [i for i, group in enumerate(self.groups) if self.meets(group)]
        together = [i for i in range(len(self.groups)) if i not in apart]
        plain = rest + [position for i in together for position in everywhere[i]]
        rows = rows_of(
            vjp,
            [basis.positions[i] for i in apart],
            [everywhere[i] for i in apart],
        )
        weights = self._weights_of(apart, rows, basis)
        found: dict[int, Tensor] = {}
        for i, own, weight in zip(apart, rows, weights, strict=True):
            if weight is None:
                weight = ops.ones((len(self.groups[i].summands),), dtype="float32")
            table = basis.tables[i]
            if table is not None:
                # (k,) weights of summands become weights of what these combine.
                weight = ops.matmul(weight, table)
            found |= zip(everywhere[i], weighted_sum(own, weight), strict=True)
        if basis.has_regularizers and found:
            taken = sorted(found)
            for position, part in zip(taken, vjp({count: 1.0}, taken), strict=True):
                found[position] = found[position] + part
        if plain:
            everything = dict.fromkeys(range(count + 1), 1.0)
            found |= zip(plain, vjp(everything, plain), strict=True)
        return [found[position] for position in range(len(variables))]

    def _weights_of(
        self, apart: Sequence[int], rows: Sequence[Rows], basis: GradientBasis
    ) -> GroupWeights:
        gramians: list[Tensor | None] = [None] * len(self.groups)
        for i, own in zip(apart, rows, strict=True):
            gramians[i] = gramian_of_combinations(basis.tables[i], gramian_of(own))
        values = ops.stop_gradient(ops.stack(basis.summands))
        weights = self.aggregate(gramians, values)
        return [weights[i] for i in apart]

    def rates(self) -> Tensor | None:
        """Return the (M,) multipliers of this step's updates; None: no networks."""
        if not self.networks:
            return None
        return ops.convert_to_tensor(self.steering.variable("rates"))

    # --- files -------------------------------------------------------------------

    def save_own_variables(self, store: Store) -> None:
        """Save the state of the random numbers, which Keras leaves out."""
        if self.seeds is not None:
            store["seeds"] = ops.convert_to_numpy(self.seeds.state.value)

    def load_own_variables(self, store: Store) -> None:
        """Load what `save_own_variables` wrote."""
        if self.seeds is not None and "seeds" in store:
            self.seeds.state.assign(np.asarray(store["seeds"]))
