"""Adaptive weights and combined gradients: what a joint model remembers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from coloss.joint.balance.gradient_basis import GradientBasis
from coloss.joint.balance.gramian import (
    Pull,
    Rows,
    gramian_of,
    mixed,
    rows_of,
    sandwiched,
)
from coloss.joint.balance.parameter_groups import ParameterGroup, places, sharing
from coloss.joint.balance.plan import Plan
from coloss.joint.balance.state_arrays import StateArrays
from coloss.joint.balance.statistics import BalanceStatistics

Tensor = Any


class Balance(keras.layers.Layer):
    """The state of a weighting and of an aggregator, and how they act on a step.

    Args:
        plan: what `compile` was told; None: plain training, and nothing is kept.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        """Create nothing yet: what is shared is known once members are built."""
        super().__init__(name="balance")
        self.plan = plan
        self.level: str | None = None
        self.groups: tuple[ParameterGroup, ...] = ()
        self._bound: tuple[Any, ...] = ()
        self.weighting_state = StateArrays("weighting", {})
        self.aggregator_states: list[StateArrays] = []
        self.statistics: BalanceStatistics | None = None
        self.seeds = None
        if plan is not None and plan.draws:
            self.seeds = keras.random.SeedGenerator()
        self.built = plan is None

    # --- what it is --------------------------------------------------------------

    @property
    def own_step(self) -> bool:
        """Whether the train step must take gradients apart, or scale updates."""
        return bool(self.networks) or self.combines

    @property
    def combines(self) -> bool:
        """Whether gradients of summands are combined in the train step."""
        return self.plan is not None and self.plan.combines(self.level)

    @property
    def networks(self) -> tuple[str, ...]:
        """The members whose updates are scaled."""
        if self.plan is None or self.plan.kind != "network":
            return ()
        return self.plan.networks

    def create(self, members: Mapping[str, keras.Model]) -> None:
        """Find the groups, and create every variable.

        Args:
            members: networks by name, built.

        Raises:
            ValueError: if members share layers in a way that the level cannot see,
                or no two summands meet anywhere.
        """
        plan = self.plan
        if plan is None or self.built:
            return
        self.groups = tuple(plan.groups(members))
        self.level = plan.level_for(sharing(members))
        self._create_states(plan)
        self.statistics = BalanceStatistics(plan, self.groups)
        self.built = True

    def _create_states(self, plan: Plan) -> None:
        weighting = plan.weighting
        if weighting is not None:
            count = len(plan.networks if plan.kind == "network" else plan.names)
            arrays = weighting.init(count, plan.kinds)
            self.weighting_state = StateArrays("weighting", arrays, weighting.trained)
        if plan.aggregator is not None:
            self._bound = tuple(plan.aggregator_of(group) for group in self.groups)
            for index, (group, one) in enumerate(
                zip(self.groups, self._bound, strict=True)
            ):
                arrays = {} if one is None else one.init(len(group.summands))
                self.aggregator_states.append(
                    StateArrays(f"aggregator_{index}", arrays)
                )

    # --- weights -----------------------------------------------------------------

    def weigh(
        self, values: Tensor, scores: tuple[Tensor, Tensor] | None, epoch: Any
    ) -> tuple[Tensor | None, Tensor | None]:
        """Take one step of a weighting of losses or networks.

        Args:
            values: (K,) of the summands, detached.
            scores: (M,) a number a network, and the rows it was measured on.
            epoch: a scalar tensor, or None.

        Returns:
            (K,) weights of the summands, and what is added to the weighted sum; None
            where summands keep their weight.
        """
        plan = self.plan
        if plan is None or plan.weighting is None or self.statistics is None:
            return None, None
        state = self.weighting_state.read()
        if plan.kind == "loss":
            weights, new = plan.weighting.update(
                state, values, epoch=epoch, seed=self.seeds
            )
            # PyTorch refuses a gradient through what was assigned after it was read.
            changed = {k: v for k, v in new.items() if v is not state.get(k)}
            self.weighting_state.write(changed)
            self.statistics.note_weights(weights)
            return weights, plan.weighting.penalty(state)
        if plan.kind == "network" and scores is not None:
            numbers, rows = scores
            rates, new = plan.weighting.update(
                state, numbers, epoch=epoch, seed=self.seeds
            )
            # A batch in which a network has no labels tells nothing.
            known = ops.all(rows > 0)
            kept = {k: ops.where(known, new[k], state[k]) for k in new}
            self.weighting_state.write(kept)
            self.statistics.note_rates(ops.where(known, rates, ops.ones_like(rates)))
        return None, None

    def validate(self, scores: tuple[Tensor, Tensor]) -> None:
        """Let a weighting see a validation batch.

        Args:
            scores: as in `weigh`.
        """
        if self.plan is None or not self.plan.validates or self.statistics is None:
            return
        state = self.weighting_state.read()
        numbers, rows = scores
        size = ops.min(rows) * self.statistics.open_gate()
        self.weighting_state.write(self.plan.weighting.validate(state, numbers, size))

    def forget_validation(self) -> None:
        """Forget evaluations outside of `fit`, which may have been of test rows."""
        if self.plan is None or not self.plan.validates:
            return
        for key in ("validation", "validation_rows"):
            variable = self.weighting_state.variable(key)
            variable.assign(ops.zeros_like(ops.convert_to_tensor(variable)))

    # --- gradients ---------------------------------------------------------------

    def aggregate(self, gramians: Sequence[Tensor | None], values: Tensor) -> list[Any]:
        """Return the weights of each group's summands, and take one step.

        Args:
            gramians: (k, k) of each group; None where one summand is alone.
            values: (K,) of the summands, detached.

        Returns:
            (k,) for each group; None where a lone summand keeps its gradient.
        """
        plan = self.plan
        assert plan is not None
        assert self.statistics is not None
        found: list[Any] = []
        if plan.kind == "gradient":
            found = self._weighted(gramians, values)
        else:
            for index, gramian in enumerate(gramians):
                if gramian is None or self._bound[index] is None:
                    found.append(None)
                    continue
                memory = self.aggregator_states[index]
                weights, new = self._bound[index].update(
                    memory.read(), gramian, self.seeds
                )
                memory.write(new)
                found.append(weights)
        self.statistics.note_blocks(gramians, found)
        return found

    def _weighted(self, gramians: Sequence[Tensor | None], values: Tensor) -> list[Any]:
        """Return the weights of a weighting that reads gradients."""
        plan = self.plan
        assert plan is not None
        assert self.statistics is not None
        if not plan.whole:
            found: list[Any] = []
            for group, gramian in zip(self.groups, gramians, strict=True):
                own = [float(plan.alone(k, group)) for k in group.summands]
                if gramian is None or len(set(own)) < 2:
                    found.append(None)
                    continue
                mask = ops.convert_to_tensor(own, dtype="float32")
                weights, _ = plan.weighting.update({}, mask, gramian=gramian)
                found.append(weights)
            return found
        total = 0.0
        for group, gramian in zip(self.groups, gramians, strict=True):
            spread = ops.convert_to_tensor(self.statistics.selection(group).T)
            total = total + sandwiched(spread, gramian)
        weights, new = plan.weighting.update(
            self.weighting_state.read(), values, gramian=total
        )
        self.weighting_state.write(new)
        self.statistics.note_weights(weights)
        return [ops.take(weights, list(group.summands)) for group in self.groups]

    def meets(self, group: ParameterGroup) -> bool:
        """Whether a group's gradients are taken apart."""
        if self.plan is not None and self.plan.whole:
            return True
        return len(group.summands) > 1

    def gradients(
        self,
        pull: Pull,
        parts: GradientBasis,
        members: Mapping[str, keras.Model],
        variables: Sequence[Any],
    ) -> list[Tensor]:
        """Return the gradient that moves each variable.

        Args:
            pull: takes gradients of the parts' values.
            parts: the K summands, what else is minimised, and what groups need.
            members: networks by name.
            variables: the trained variables of the joint model.
        """
        count = len(parts.summands)
        everywhere, rest = places(self.groups, members, variables)
        apart = [i for i, group in enumerate(self.groups) if self.meets(group)]
        plain = rest + [
            position
            for i, own in enumerate(everywhere)
            if i not in apart
            for position in own
        ]
        rows = rows_of(
            pull,
            [parts.positions[i] for i in apart],
            [everywhere[i] for i in apart],
        )
        weights = self._weights_of(apart, rows, parts)
        found: dict[int, Tensor] = {}
        for i, own, weight in zip(apart, rows, weights, strict=True):
            if weight is None:
                weight = ops.ones((len(self.groups[i].summands),), dtype="float32")
            if parts.tables[i] is not None:
                weight = ops.matmul(weight, parts.tables[i])
            found |= zip(everywhere[i], mixed(own, weight), strict=True)
        if parts.has_regularizers and found:
            taken = sorted(found)
            for position, part in zip(taken, pull({count: 1.0}, taken), strict=True):
                found[position] = found[position] + part
        if plain:
            everything = dict.fromkeys(range(count + 1), 1.0)
            found |= zip(plain, pull(everything, plain), strict=True)
        return [found[position] for position in range(len(variables))]

    def _weights_of(
        self, apart: Sequence[int], rows: Sequence[Rows], parts: GradientBasis
    ) -> list[Any]:
        gramians: list[Any] = [None] * len(self.groups)
        for i, own in zip(apart, rows, strict=True):
            gramians[i] = sandwiched(parts.tables[i], gramian_of(own))
        values = ops.stop_gradient(ops.stack(parts.summands))
        weights = self.aggregate(gramians, values)
        return [weights[i] for i in apart]

    def rates(self) -> Tensor | None:
        """Return the (M,) multipliers of this step's updates; None: no networks."""
        if not self.networks or self.statistics is None:
            return None
        return ops.convert_to_tensor(self.statistics.variable("rates"))

    def noised(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return the gradients, with a weighting's noise on those of kernels."""
        if self.plan is None or not getattr(self.plan.weighting, "noise", False):
            return gradients
        found = []
        for gradient in gradients:
            if len(gradient.shape) < 2:
                found.append(gradient)
                continue
            dense = ops.convert_to_tensor(gradient)
            noise = keras.random.normal(dense.shape, dtype=dense.dtype, seed=self.seeds)
            found.append(dense + ops.std(dense) * noise)
        return found

    # --- files -------------------------------------------------------------------

    def save_own_variables(self, store: Any) -> None:
        """Save the state of the random numbers, which Keras leaves out."""
        if self.seeds is not None:
            store["seeds"] = ops.convert_to_numpy(self.seeds.state.value)

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` wrote."""
        if self.seeds is not None and "seeds" in store:
            self.seeds.state.assign(np.asarray(store["seeds"]))
