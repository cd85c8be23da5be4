"""What weights and gradients did: running sums, read once an epoch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from coloss import aggregation
from coloss.joint.balance_plan import Plan
from coloss.joint.blocks import Block
from coloss.joint.memory import Memory

Tensor = Any


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


class Journal(Memory):
    """Sums over all steps since `compile`.

    Args:
        plan: what weighs and combines.
        blocks: where gradients are combined.
    """

    def __init__(self, plan: Plan, blocks: Sequence[Block]) -> None:
        """Create what the plan fills."""
        self._count = len(plan.names)
        self._names = plan.names
        self._networks = plan.networks if plan.kind == "network" else ()
        self._blocks = tuple(blocks)
        size, places = self._count, len(self._blocks)
        arrays: dict[str, np.ndarray] = {"steps": np.zeros((), "float32")}
        if plan.kind == "loss" or plan.whole:
            arrays["weights"] = np.zeros(size, "float32")
        if self._networks:
            arrays["rates"] = np.ones(len(self._networks), "float32")
            arrays["rate_sums"] = np.zeros(len(self._networks), "float32")
        if plan.validates:
            arrays["gate"] = np.ones((), "float32")
        if self._blocks:
            arrays["shares"] = np.zeros((places, size), "float32")
            arrays["opposed"] = np.zeros((places, size, size), "float32")
            arrays["cosines"] = np.zeros((places, size, size), "float32")
            arrays["conflicts"] = np.zeros(places, "float32")
            arrays["measured"] = np.zeros((), "float32")
        super().__init__("journal", arrays)

    # --- within a step -----------------------------------------------------------

    def _add(self, key: str, value: Any) -> None:
        variable = self.variable(key)
        variable.assign(ops.convert_to_tensor(variable) + ops.stop_gradient(value))

    def note_weights(self, weights: Tensor) -> None:
        """Take in the (K,) weights of a step."""
        self._add("weights", weights)
        self._add("steps", ops.ones((), dtype="float32"))

    def note_rates(self, rates: Tensor) -> None:
        """Take in the (M,) multipliers of a step, and keep them for its update."""
        self.variable("rates").assign(ops.stop_gradient(rates))
        self._add("rate_sums", rates)
        self._add("steps", ops.ones((), dtype="float32"))

    def note_blocks(
        self, gramians: Sequence[Tensor | None], weights: Sequence[Tensor | None]
    ) -> None:
        """Take in each block's Gramian and weights; None: a lone summand."""
        shares, opposed, cosines, conflicts = [], [], [], []
        for block, gramian, weight in zip(self._blocks, gramians, weights, strict=True):
            spread = ops.convert_to_tensor(self.selection(block))
            if weight is None:
                weight = ops.ones((len(block.summands),), dtype="float32")
            shares.append(ops.matmul(ops.cast(weight, "float32"), spread))
            if gramian is None or len(block.summands) < 2:
                nothing = ops.zeros((self._count, self._count), dtype="float32")
                opposed.append(nothing)
                cosines.append(nothing)
                conflicts.append(ops.zeros((), dtype="float32"))
                continue
            cosine, _ = aggregation.conflicts(gramian)
            against = ops.cast(cosine < 0, "float32")
            cosines.append(_spread(cosine, spread))
            opposed.append(_spread(against, spread))
            conflicts.append(ops.max(against))
        self._add("shares", ops.stack(shares))
        self._add("opposed", ops.stack(opposed))
        self._add("cosines", ops.stack(cosines))
        self._add("conflicts", ops.stack(conflicts))
        self._add("measured", ops.ones((), dtype="float32"))

    def selection(self, block: Block) -> np.ndarray:
        """Return the (k, K) matrix that puts a block's summands among all."""
        matrix = np.zeros((len(block.summands), self._count), "float32")
        matrix[np.arange(len(block.summands)), list(block.summands)] = 1.0
        return matrix

    # --- validation --------------------------------------------------------------

    def open_gate(self) -> Tensor:
        """Return 1 while batches for evaluation are validation, else 0."""
        return ops.convert_to_tensor(self.variable("gate"))

    def set_gate(self, is_open: bool) -> None:
        """Say whether evaluation is validation now."""
        if "gate" in self:
            self.variable("gate").assign(float(is_open))

    # --- between epochs ----------------------------------------------------------

    def entries(
        self, before: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        """Return means over the steps between two copies, as entries of the history.

        Args:
            before: `numpy()` at the start of an epoch.
            now: `numpy()` at its end.
        """
        gone = {key: now[key] - before[key] for key in now}
        found: dict[str, float] = {}
        steps = float(gone["steps"])
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
        measured = float(gone.get("measured", np.zeros(())))
        for i, block in enumerate(self._blocks if measured else ()):
            if len(block.summands) < 2:
                continue
            if "weights" not in gone:
                for k in block.summands:
                    name = f"weight/{self._names[k]}/{block.name}"
                    found[name] = float(gone["shares"][i, k] / measured)
            found[f"conflict/{block.name}"] = float(gone["conflicts"][i] / measured)
        return found

    def conflicts(self) -> list[Conflict]:
        """Return every pair of summands that meet, the most opposed first."""
        if not self._blocks:
            return []
        sums = self.numpy()
        steps = max(float(sums["measured"]), 1.0)
        found = [
            Conflict(
                block.name,
                self._names[first],
                self._names[second],
                float(sums["opposed"][i, first, second] / steps),
                float(sums["cosines"][i, first, second] / steps),
            )
            for i, block in enumerate(self._blocks)
            for first, second in itertools.combinations(block.summands, 2)
        ]
        return sorted(found, key=lambda one: (-one.share, one.cosine))


def _spread(matrix: Tensor, spread: Tensor) -> Tensor:
    return ops.matmul(ops.transpose(spread), ops.matmul(matrix, spread))
