"""What weights and gradients did: running sums, read once an epoch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops

from coloss import aggregation
from coloss.joint.balance.parameter_groups import ParameterGroup
from coloss.joint.balance.plan import Plan
from coloss.joint.balance.state_arrays import StateArrays
from coloss.typing import Tensor


@dataclass(frozen=True)
class Conflict:
    """Two summands whose gradients point apart, at one member.

    Attributes:
        member: where (`a+b` for what both share).
        first: a summand, as in the history.
        second: another one.
        share: of the steps so far in which their cosine was negative.
        cosine: its mean over the steps.
    """

    member: str
    first: str
    second: str
    share: float
    cosine: float


@dataclass(frozen=True)
class _Meeting:
    """Means over steps of k summands that meet in a group.

    Attributes:
        group: where.
        weights: (k,).
        cosines: (k, k).
        opposed: (k, k) shares of the steps in which a cosine was negative.
        share: of the steps in which any was.
    """

    group: ParameterGroup
    weights: np.ndarray
    cosines: np.ndarray
    opposed: np.ndarray
    share: float


class BalanceStatistics(StateArrays):
    """Sums over all steps since `compile`.

    Args:
        plan: what weighs and combines.
        groups: where gradients are combined.
    """

    def __init__(self, plan: Plan, groups: Sequence[ParameterGroup]) -> None:
        """Create what the plan fills."""
        self._names = plan.names
        self._networks = plan.networks
        self._groups = tuple(groups)
        arrays: dict[str, np.ndarray] = {}
        if not plan.is_plain:
            arrays["steps"] = np.zeros((), "float32")
        if plan.kind == "loss" or plan.whole:
            arrays["weights"] = np.zeros(len(plan.names), "float32")
        if self._networks:
            arrays["rate_sums"] = np.zeros(len(self._networks), "float32")
        if self._groups:
            # All of them in one: each variable costs every step an operation.
            size = 1 + sum(_size(group) for group in self._groups)
            arrays["groups"] = np.zeros(size, "float32")
        super().__init__("statistics", arrays)

    # --- within a step -----------------------------------------------------------

    def _add(self, key: str, value: Tensor) -> None:
        variable = self.variable(key)
        variable.assign(ops.convert_to_tensor(variable) + ops.stop_gradient(value))

    def note_weights(self, weights: Tensor) -> None:
        """Take in the (K,) weights of a step."""
        self._add("weights", weights)
        self._add("steps", ops.ones((), dtype="float32"))

    def note_rates(self, rates: Tensor) -> None:
        """Take in the (M,) multipliers of a step's updates."""
        self._add("rate_sums", rates)
        self._add("steps", ops.ones((), dtype="float32"))

    def note_groups(
        self, gramians: Sequence[Tensor | None], weights: Sequence[Tensor | None]
    ) -> None:
        """Take in each group's Gramian and weights; None: a lone summand."""
        parts = [ops.ones((1,), dtype="float32")]
        for group, gramian, weight in zip(self._groups, gramians, weights, strict=True):
            count = len(group.summands)
            if count < 2:
                continue
            if weight is None:
                parts.append(ops.ones((count,), dtype="float32"))
            else:
                parts.append(ops.cast(weight, "float32"))
            cosines, _ = aggregation.conflicts(gramian)
            against = ops.cast(cosines < 0, "float32")
            parts += [ops.reshape(cosines, (-1,)), ops.reshape(against, (-1,))]
            parts.append(ops.reshape(ops.max(against), (1,)))
        self._add("groups", ops.concatenate(parts))

    # --- between epochs ----------------------------------------------------------

    def entries(
        self, before: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        """Return means over the steps between two copies, as entries of the history.

        Args:
            before: `numpy()` at the start of an epoch.
            now: `numpy()` at its end.
        """
        gone = {key: value - before.get(key, 0.0) for key, value in now.items()}
        found: dict[str, float] = {}
        steps = float(gone.get("steps", 0.0))
        if "weights" in gone and steps:
            means = gone["weights"] / steps
            found |= {
                f"weight/{n}": float(v) for n, v in zip(self._names, means, strict=True)
            }
        if self._networks and steps:
            means = gone["rate_sums"] / steps
            found |= {
                f"rate/{n}": float(v)
                for n, v in zip(self._networks, means, strict=True)
            }
        for meeting in self._meetings(gone):
            group = meeting.group
            if "weights" not in gone:
                names = [
                    f"weight/{self._names[k]}/{group.name}" for k in group.summands
                ]
                found |= zip(names, map(float, meeting.weights), strict=True)
            found[f"conflict/{group.name}"] = meeting.share
        return found

    def conflicts(self) -> list[Conflict]:
        """Return every pair of summands that meet, the most opposed first."""
        found = [
            Conflict(
                meeting.group.name,
                self._names[meeting.group.summands[first]],
                self._names[meeting.group.summands[second]],
                float(meeting.opposed[first, second]),
                float(meeting.cosines[first, second]),
            )
            for meeting in self._meetings(self.numpy())
            for first, second in itertools.combinations(range(len(meeting.weights)), 2)
        ]
        return sorted(found, key=lambda one: (-one.share, one.cosine))

    def _meetings(self, sums: Mapping[str, np.ndarray]) -> list[_Meeting]:
        """Return means by group, of those where summands meet."""
        if "groups" not in sums:
            return []
        steps, values = max(float(sums["groups"][0]), 1.0), sums["groups"][1:]
        found = []
        for group in self._groups:
            count = len(group.summands)
            own, values = np.split(values, [_size(group)])
            if count < 2:
                continue
            weights, cosines, opposed, share = np.split(
                own / steps, np.cumsum([count, count**2, count**2])
            )
            square = (count, count)
            found.append(
                _Meeting(
                    group,
                    weights,
                    cosines.reshape(square),
                    opposed.reshape(square),
                    float(share[0]),
                )
            )
        return found


def _size(group: ParameterGroup) -> int:
    """Return how many sums are kept of a group: none where nothing meets."""
    count = len(group.summands)
    return count + 2 * count**2 + 1 if count > 1 else 0
