"""What `JointModel.compile` was told, resolved against the members once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import keras

from coloss.joint.checks.head_agreement import disagreements
from coloss.joint.checks.recorded_checks import check_recorded
from coloss.joint.members import FUSED
from coloss.joint.outputs.fusion import Fuse
from coloss.joint.outputs.layer_outputs import Path, find_place
from coloss.joint.recorded import networks
from coloss.joint.supervision.loss_tracker import LossTracker
from coloss.joint.supervision.member_loss import LossSpec, MemberLoss, resolve_losses
from coloss.joint.supervision.metrics import (
    MemberMetric,
    MetricSpec,
    distinct,
    resolve_metrics,
)
from coloss.joint.supervision.step_report import StepReport
from coloss.joint.values.batch_values import fused_loss
from coloss.joint.values.coefficients import Coefficient
from coloss.joint.values.running_accuracy import number_widths
from coloss.objective import Objective, ObjectiveWarning, reach
from coloss.objective.expression import Expression
from coloss.typing import Shape


@dataclass(eq=False)
class CompiledSettings:
    """The resolved arguments of `compile`.

    Attributes:
        objective: the joint loss, bound to members and coefficients.
        losses: each member's loss.
        metrics: every member's metrics.
        summands: the objective's summands, with the name of each in the history.
        loss_tracker: the running means of the summands and of each member's own loss.
        step_report: where the first bad step went wrong; no entry of the history.
        tapped: paths of the layers that terms read, by member.
        widths: values of a label, by member that predicts numbers and that a gate
            compares.
        ascended: members that the objective trains to fail.
    """

    objective: Objective
    losses: dict[str, MemberLoss]
    metrics: list[MemberMetric]
    summands: list[tuple[Expression, str]]
    loss_tracker: LossTracker
    step_report: StepReport
    tapped: dict[str, tuple[Path, ...]]
    widths: dict[str, int]
    ascended: list[str] = field(default_factory=list)

    @property
    def trackers(self) -> list[keras.metrics.Metric]:
        """Everything that appears in the history beside `loss`."""
        found = [self.loss_tracker, *(one.metric for one in self.metrics)]
        return [*found, self.step_report]

    def build_metrics(
        self, name: str, shape: Shape | Mapping[str, Shape] | None
    ) -> None:
        """Create the state of metrics that take their size from a member's outputs.

        Args:
            name: the member.
            shape: of its outputs; None where it is not known yet.
        """
        for one in self.metrics:
            if one.member == name and isinstance(shape, tuple):
                one.build(shape)

    def direction(self, name: str) -> str | None:
        """Return "min" or "max": which way an entry of the history is better.

        Args:
            name: the entry, without `val_`.

        Returns:
            None where nobody knows.
        """
        if name in self.loss_tracker.entries:
            return "min"
        for one in self.metrics:
            if one.metric.name == name:
                way = getattr(one.metric, "_direction", "")
                return {"up": "max", "down": "min"}.get(way)
        return None

    @property
    def needed(self) -> frozenset[str]:
        """Members whose labels the objective reads."""
        return reach.losses(self.objective.expression)


def resolve_compiled(
    members: dict[str, keras.Model],
    fuse: Fuse | None,
    loss: LossSpec,
    objective: str | Expression | Objective | None,
    coefficients: Mapping[str, Coefficient],
    metrics: MetricSpec,
    weighted_metrics: MetricSpec,
) -> CompiledSettings:
    """Resolve and check the arguments of `compile`.

    Args:
        members: the networks.
        fuse: None where there is no fused prediction.
        loss: one loss, or by member.
        objective: text, tree, Objective, or None for the sum of all losses.
        coefficients: number or schedule by name.
        metrics: a list for all, or by member.
        weighted_metrics: the same, with sample weights.

    Raises:
        ObjectiveError: if the objective names what does not exist.
        ValueError: if a member lacks a loss that the objective reads, or a layer
            does not exist.
    """
    names = tuple(members)
    if loss is not None and not isinstance(loss, Mapping):
        # Recorded predictions have a loss only where one is asked for.
        loss = dict.fromkeys(networks(members), loss)
    losses = resolve_losses(loss, names)
    if objective is None:
        objective = " + ".join(name for name in names if name in losses)
        if not objective:
            raise ValueError("compile() needs `loss`, `objective`, or both.")
    bound = Objective(objective).bind(names, coefficients)
    if not bound.learners:
        raise ValueError(f"the objective `{bound}` trains no member.")
    for name in sorted(reach.losses(bound.expression)):
        if name not in losses:
            raise ValueError(
                f"the objective reads the loss of {name!r}, which has none. Add it: "
                f'loss={{"{name}": ...}}.'
            )
    check_recorded(members, losses, bound)
    unused = [name for name in coefficients if name not in bound.names]
    if unused:
        warnings.warn(
            f"coefficient {', '.join(map(repr, unused))} does not appear in the "
            f"objective `{bound}`.",
            ObjectiveWarning,
            stacklevel=4,
        )
    for sentence in disagreements(members, losses):
        warnings.warn(sentence, ObjectiveWarning, stacklevel=4)
    fused = fused_loss(losses) if fuse is not None else None
    kinds = losses if fused is None else {**losses, FUSED: fused}
    found = []
    for given, weighted in ((metrics, False), (weighted_metrics, True)):
        valid = names if fused is None else (*names, FUSED)
        found += resolve_metrics(given, valid, kinds, weighted)
    summands = _named(bound)
    entries = [name for _, name in summands] + [f"{name}_loss" for name in losses]
    return CompiledSettings(
        objective=bound,
        losses=losses,
        metrics=distinct(found),
        summands=summands,
        loss_tracker=LossTracker(entries),
        step_report=StepReport(names),
        tapped=_tapped(members, bound),
        widths=number_widths(bound, losses, members),
    )


def _named(objective: Objective) -> list[tuple[Expression, str]]:
    found, seen = [], {"loss": 1}
    for summand in objective.summands:
        text = str(summand)
        seen[text] = seen.get(text, 0) + 1
        name = text if seen[text] == 1 else f"{text} ({seen[text]})"
        found.append((summand, name))
    return found


def _tapped(
    members: dict[str, keras.Model], objective: Objective
) -> dict[str, tuple[Path, ...]]:
    found: dict[str, list[Path]] = {}
    for port in reach.ports(objective.expression):
        if port.path and port.path not in found.setdefault(port.member, []):
            find_place(port.member, members[port.member], port.path)
            found[port.member].append(port.path)
    return {name: tuple(paths) for name, paths in found.items()}
