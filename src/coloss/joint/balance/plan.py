"""What `compile(weighting=, aggregator=)` means for an objective; what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from coloss import aggregation
from coloss.aggregation import LEVELS
from coloss.aggregation.base import Aggregator
from coloss.joint.balance.parameter_groups import ParameterGroup, groups_of, sharing
from coloss.joint.members import is_frozen
from coloss.joint.supervision.member_loss import CLASSES, REGRESSION, MemberLoss
from coloss.joint.values.coefficients import Coefficient
from coloss.joint.values.term_schedule import OPTIONS
from coloss.names import nearest
from coloss.objective import Objective, reach
from coloss.objective.derivative import linear
from coloss.objective.expression import Expression
from coloss.objective.intervals import range_of
from coloss.weighting.base import Summand, Weighting
from coloss.weighting.methods import METHODS
from coloss.weighting.schedules import coefficient_range


@dataclass(frozen=True)
class Request:
    """What `compile` was asked for.

    Attributes:
        weighting: a method, its short name, or None.
        aggregator: a method, its short name, or None.
        level: where gradients are combined; None: the aggregator's own choice.
    """

    weighting: Weighting | str | None = None
    aggregator: Aggregator | str | None = None
    level: str | None = None


@dataclass(frozen=True)
class Weighable:
    """What is weighed and combined.

    Attributes:
        objective: bound to members and coefficients.
        summands: its summands, with the name of each in the history.
        losses: the members' losses.
        coefficients: as given to `compile`.
    """

    objective: Objective
    summands: Sequence[tuple[Expression, str]]
    losses: Mapping[str, MemberLoss]
    coefficients: Mapping[str, Coefficient]


@dataclass(frozen=True)
class Plan:
    """A weighting and an aggregator, resolved against an objective.

    Without both (`PLAIN`) nothing is weighed and nothing combined.

    Attributes:
        weighting: or None.
        aggregator: or None.
        level: what the user asked for; None: the aggregator's own.
        names: the summands, as in the history.
        kinds: of the summands, as in `Summand`.
        reached: the trained members that get a gradient from each summand.
        read: the members that each summand reads in any way.
        paced: the members whose updates a weighting of networks scales.
        linear: whether every summand is a combination of members' losses.
    """

    weighting: Weighting | None = None
    aggregator: Aggregator | None = None
    level: str | None = None
    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    reached: tuple[frozenset[str], ...] = ()
    read: tuple[frozenset[str], ...] = ()
    paced: tuple[str, ...] = ()
    linear: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether training is plain: nothing is weighed, nothing combined."""
        return self.weighting is None and self.aggregator is None

    @property
    def kind(self) -> str:
        """What the weighting weighs: "loss", "network", "gradient", or "nothing"."""
        return "nothing" if self.weighting is None else self.weighting.kind

    @property
    def method(self) -> Weighting:
        """The weighting, where there is one; where there is none, a ValueError."""
        if self.weighting is None:
            raise ValueError("there is no weighting.")
        return self.weighting

    @property
    def networks(self) -> tuple[str, ...]:
        """The members whose updates are scaled."""
        return self.paced if self.kind == "network" else ()

    @property
    def whole(self) -> bool:
        """Whether a weighting reads the gradients at all variables together."""
        return self.kind == "gradient" and bool(self.method.init(1))

    @property
    def validates(self) -> bool:
        """Whether the weighting reads validation rows."""
        return self.weighting_has("validates")

    @property
    def by_epoch(self) -> bool:
        """Whether the weighting must know the epoch."""
        return self.weighting_has("by_epoch")

    @property
    def draws(self) -> bool:
        """Whether random numbers are drawn."""
        aggregator_draws = bool(getattr(self.aggregator, "draws", False))
        return (
            self.weighting_has("noise")
            or self.weighting_has("draws")
            or aggregator_draws
        )

    def weighting_has(self, feature: str) -> bool:
        """Return whether there is a weighting, and it says that it has a feature."""
        return bool(getattr(self.weighting, feature, False))

    def states(self) -> dict[str, np.ndarray]:
        """Return the arrays that the weighting starts with, by name."""
        if self.weighting is None:
            return {}
        count = len(self.networks or self.names)
        return dict(self.weighting.init(count, self.kinds))

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the arrays that gradient descent moves."""
        return () if self.weighting is None else tuple(self.weighting.trained)

    def combines(self, level: str | None) -> bool:
        """Whether the train step takes the gradients of summands apart.

        Args:
            level: from `level_for`.
        """
        return self.kind == "gradient" or level == "parameter"

    def groups(self, members: Mapping[str, keras.Model]) -> list[ParameterGroup]:
        """Return where gradients are combined.

        Args:
            members: networks by name, built.

        Raises:
            ValueError: if members share layers in a way that the level cannot see,
                or no two summands meet anywhere.
        """
        level = self.level_for(sharing(members))
        if level is None and self.kind != "gradient":
            return []
        apart = level not in ("coefficient", "output")
        found = groups_of(members, self.reached, apart)
        self.check_groups(found)
        return found

    def alone(self, summand: int, group: ParameterGroup) -> bool:
        """Whether a summand reads and trains one network alone: the group's."""
        return self.read[summand] == frozenset(group.owners)

    def level_for(self, shared: Sequence[str] | None) -> str | None:
        """Return the level at which gradients are combined.

        An aggregator that reads no gradient is satisfied by the coefficients, where
        the objective is a combination of losses, else by outputs.

        Args:
            shared: members that share layers; None: nobody does.

        Raises:
            ValueError: if the level that was asked for cannot see these layers.
        """
        if self.aggregator is None:
            return None
        if self.level is None:
            level = self.aggregator.level
            if shared is None:
                return "output" if level == "coefficient" and not self.linear else level
            return "parameter"
        if shared is not None and self.level != "parameter":
            raise ValueError(
                f"members {' and '.join(map(repr, shared))} share layers, where their "
                f"gradients meet; aggregation_level={self.level!r} does not see that. "
                'Use "parameter".'
            )
        return self.level

    def notes(self) -> list[str]:
        """Return, in words, what the factors of the objective do not show."""
        found = []
        name = type(self.weighting).__name__
        if self.kind == "network":
            networks = " and ".join(self.networks)
            found.append(f"{name} scales the updates of {networks} in each step")
        elif self.weighting is not None:
            found.append(f"{name} weighs the {len(self.names)} summands in each step")
        if self.aggregator is not None:
            where = "" if self.level is None else f", at level {self.level!r}"
            found.append(
                f"{type(self.aggregator).__name__} combines the gradients of the "
                f"summands inside each network{where}"
            )
        return found

    def aggregator_of(self, group: ParameterGroup) -> Aggregator | None:
        """Return the aggregator for a group's summands.

        None where its gradients are added: one summand is alone, or the summand that
        leads does not reach it.
        """
        if self.aggregator is None or len(group.summands) < 2:
            return None
        names = [self.names[k] for k in group.summands]
        primary = getattr(self.aggregator, "primary", None)
        if primary is None:
            return self.aggregator.bind(names)
        leading = self.names[primary] if isinstance(primary, int) else primary
        if leading not in names:
            return None
        changed: dict[str, Any] = {"primary": leading}
        return replace(self.aggregator, **changed).bind(names)

    def check_groups(self, groups: Sequence[ParameterGroup]) -> None:
        """Refuse to combine where no two summands meet.

        Raises:
            ValueError: if every network is reached by one summand at most.
        """
        if any(len(group.summands) > 1 for group in groups) or self.whole:
            return
        name = type(self.aggregator or self.weighting).__name__
        raise ValueError(
            f"{name} combines the gradients that meet in one network, but no network "
            "gets a gradient from two summands: it would change nothing. Networks that "
            "share no layers conflict only where a transfer term meets a loss."
        )


PLAIN = Plan()
"""Plain training."""


def make_plan(
    request: Request, what: Weighable, members: Mapping[str, keras.Model]
) -> Plan:
    """Resolve and check the arguments of `compile`.

    Args:
        request: the weighting and the aggregator.
        what: objective, summands, losses and coefficients.
        members: networks by name.

    Returns:
        `PLAIN` where neither is asked for.

    Raises:
        ValueError: for what cannot work, with the reason.
        TypeError: for a method that is none.
    """
    weighting, aggregator = request.weighting, request.aggregator
    if weighting is not None:
        weighting = METHODS.resolve(weighting)
    if aggregator is not None:
        aggregator = aggregation.get(aggregator)
    if request.level is not None and aggregator is None:
        raise ValueError(
            f"`aggregation_level` is {request.level!r}, but there is no aggregator."
        )
    if weighting is None and aggregator is None:
        return PLAIN
    expressions = [expression for expression, _ in what.summands]
    trained = {n for n, m in members.items() if not is_frozen(m)}
    plan = Plan(
        weighting,
        aggregator,
        request.level,
        names=tuple(name for _, name in what.summands),
        kinds=tuple(_kind(one, what.losses) for one in expressions),
        reached=tuple(reach.learners(one) & trained for one in expressions),
        read=tuple(_read(one) for one in expressions),
        paced=tuple(n for n in members if n in trained and n in what.losses),
        linear=_is_linear(what.objective),
    )
    _check(plan, what)
    if all(member.built for member in members.values()):
        # Of others it is known when they are built, before the first step.
        for group in plan.groups(members):
            plan.aggregator_of(group)
    return plan


def _check(plan: Plan, what: Weighable) -> None:
    found = plan.weighting or plan.aggregator
    name = type(found).__name__
    if plan.kind != "network" and len(plan.names) < 2:
        raise ValueError(
            f"{name} weighs summands against each other, but the objective "
            f"`{what.objective}` has one only. Summands are what its top-level + "
            "and - join."
        )
    if plan.kind == "gradient" and plan.aggregator is not None:
        raise ValueError(
            f"{name} and {type(plan.aggregator).__name__} both decide how gradients "
            "are combined; give one of them."
        )
    if plan.kind == "network":
        _check_networks(plan, what.losses)
    elif plan.weighting is not None:
        plan.weighting.check(_summands(plan, what))
    if plan.aggregator is not None:
        plan.aggregator.check(plan.names)
    if plan.level is not None and plan.level not in LEVELS:
        raise ValueError(
            f"`aggregation_level` must be one of {', '.join(LEVELS)} or None; found "
            f"{plan.level!r}{nearest(str(plan.level), LEVELS)}."
        )
    if plan.level == "coefficient" and not plan.linear:
        raise ValueError(
            'aggregation_level="coefficient" needs an objective that adds up losses; '
            f"`{what.objective}` has transfer terms or nonlinear parts, whose "
            'gradients have directions of their own. Use "output" or "parameter".'
        )


def _check_networks(plan: Plan, losses: Mapping[str, MemberLoss]) -> None:
    name = type(plan.weighting).__name__
    if len(plan.networks) < 2:
        raise ValueError(
            f"{name} balances networks against each other; found "
            f"{len(plan.networks)} trained network with a loss."
        )
    if plan.method.reads == "loss":
        return
    for member in plan.networks:
        if losses[member].kind not in CLASSES:
            raise ValueError(
                f"{name} reads the probability of the true class, and {member!r} is no "
                "classifier. GradientBlending balances networks of any loss."
            )


def _summands(plan: Plan, what: Weighable) -> list[Summand]:
    ranges = {name: coefficient_range(v) for name, v in what.coefficients.items()}
    losses = {name: (loss.lowest, float("inf")) for name, loss in what.losses.items()}
    return [
        Summand(
            text=text,
            lowest=range_of(expression, ranges, losses)[0],
            kind=kind,
            windowed=any(
                key in OPTIONS
                for term in reach.transfer_calls(expression)
                for key, _ in term.options
            ),
        )
        for (expression, text), kind in zip(what.summands, plan.kinds, strict=True)
    ]


def _kind(expression: Expression, losses: Mapping[str, MemberLoss]) -> str:
    kinds = {
        "regression" if losses[name].kind == REGRESSION else "classification"
        for name in reach.losses(expression)
        if losses[name].kind in (*CLASSES, REGRESSION)
    }
    return kinds.pop() if len(kinds) == 1 else "mixed"


def _read(expression: Expression) -> frozenset[str]:
    ports = {port.member for port in reach.ports(expression)}
    return reach.losses(expression) | ports


def _is_linear(objective: Objective) -> bool:
    if reach.transfer_calls(objective.expression):
        return False
    return not linear(objective.expression).nonlinear
