"""Controls: arms whose gain, if they have one, did not come from the other networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from coloss.names import nearest, unknown
from coloss.objective import Objective, reach
from coloss.objective.expression import (
    Binary,
    Expression,
    Name,
    Negative,
    Number,
    Port,
    coefficient,
    negative,
)
from coloss.recipes import self_training as self_training_of
from coloss.study import twin as twins

CONTROLS = ("alone", "self-training", "twin", "equal weights", "random weights")
"""The controls that a study can add by name."""

if TYPE_CHECKING:
    from coloss.joint import JointModel


@dataclasses.dataclass(frozen=True)
class RandomWeight:
    """One of several weights that are drawn anew in every epoch.

    In epoch e all K weights are K softmax(z_e), z_e ~ N(0, 1)^K from `(seed, e)`: their
    mean is 1. The same draws in every run, whatever its seed is.

    Attributes:
        index: which of the weights, from 0.
        count: K.
        seed: of the draws.

    Reference:
        Lin et al. 2022, "Reasonable Effectiveness of Random Weighting",
        arXiv:2111.10603.
    """

    index: int
    count: int
    seed: int = 0

    def __call__(self, epoch: int) -> float:
        """Return the weight in an epoch, from 0."""
        drawn = np.random.default_rng([self.seed, epoch]).normal(size=self.count)
        raised = np.exp(drawn - drawn.max())
        return float(self.count * raised[self.index] / raised.sum())

    def get_config(self) -> dict[str, int]:
        """Return what makes an equal weight."""
        return dataclasses.asdict(self)


def alone(main: str) -> dict[str, Any]:
    """Return the arm in which the main network has its own loss only.

    Examples:
        >>> alone("acoustic")
        {'objective': 'acoustic'}
    """
    return {"objective": main}


def self_training(main: str) -> dict[str, Any]:
    """Return the arm in which the main network learns from itself.

    Examples:
        >>> self_training("acoustic")["objective"]
        'acoustic + pseudo_label(acoustic, threshold=0.95)'
    """
    return {"objective": str(self_training_of([main])), "control": True}


def equal_weights(
    objective: str | Expression | Objective, coefficients: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the arm with the same summands, each with weight 1 and its sign.

    A gain that this arm has as well did not come from the choice of the weights.

    Args:
        objective: whose summands.
        coefficients: the names in it that are coefficients.

    Examples:
        >>> equal_weights("a + w*b - 0.5*distill(b >> a)", ["w"])["objective"]
        'a + b - distill(b >> a)'
    """
    return {"objective": _sum(_bare_summands(objective, coefficients)), "control": True}


def random_weights(
    objective: str | Expression | Objective,
    coefficients: Iterable[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Return the arm with the same summands under weights drawn anew each epoch.

    A method of weighting that is no better than this one shows nothing.

    Args:
        objective: whose summands.
        coefficients: the names in it that are coefficients.
        seed: of the draws.

    Raises:
        ValueError: if there is one summand only, whose weight is always 1.

    Reference:
        Lin et al. 2022, arXiv:2111.10603.

    Examples:
        >>> random_weights("a + w*b", ["w"])["objective"]
        'random_1*a + random_2*b'
    """
    bare = _bare_summands(objective, coefficients)
    if len(bare) < 2:
        raise ValueError(
            f"random weights need at least 2 summands; found {str(objective)!r}."
        )
    names = [f"random_{index + 1}" for index in range(len(bare))]
    terms = [coefficient(name) * term for name, term in zip(names, bare, strict=True)]
    weights = {n: RandomWeight(i, len(names), seed) for i, n in enumerate(names)}
    return {
        "objective": _sum(terms),
        "coefficients": weights,
        "control": True,
    }


def twin(
    arm: Mapping[str, Any],
    main: str,
    build: Callable[[], JointModel],
    compile: Mapping[str, Any],
    coefficients: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the arm in which each helper is a twin of the main network.

    A twin has the main network's architecture, input and labels, and other initial
    weights; one that has no loss of its own in the objective, because it stands for a
    frozen or recorded helper, gets it. A gain that this arm has as well did not come
    from what the helpers see.

    Args:
        arm: the arm that is controlled, a dict of what differs.
        main: the main network.
        build: of the study; the arm's own goes first.
        compile: of the study; the arm's own comes on top.
        coefficients: the names that are coefficients.

    Raises:
        ValueError: if the arm has no objective.

    Reference:
        Zhang et al. 2018, arXiv:1706.00384: networks of one kind and one input teach
        each other.
    """
    own = dict(arm)
    known = {*coefficients, *own.get("coefficients", {})}
    settings = {**compile, **own.get("compile", {})}
    given = own.get("objective", settings.get("objective"))
    if given is None:
        raise ValueError(f"a sum of losses has no term that teaches {main!r}.")
    objective = twins.objective_of(given, main, known)
    helpers = [n for n in Objective(objective).names if n not in {main, *known}]
    return {
        **own,
        "objective": objective,
        "build": twins.TwinBuild(own.get("build", build), main),
        "compile": twins.arguments(settings, main, helpers),
        "labels_of": main,
        "control": True,
    }


def is_control(objective: str | None) -> bool:
    """Return whether networks learn from themselves in it, and not from others."""
    if objective is None:
        return False
    calls = reach.transfer_calls(Objective(objective).expression)
    return bool(calls) and all(call.function == "pseudo_label" for call in calls)


def added(
    asked: Iterable[str] | Mapping[str, str],
    arms: Mapping[str, Any],
    main: str,
    coefficients: Iterable[str],
    build: Callable[[], JointModel],
    compile: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the arms with the controls that were asked for, controls first.

    Args:
        asked: names out of `CONTROLS`; or the arm that is controlled, by name. Without
            it that is the last arm that has a sum as its objective; of "twin" the last
            one in which another network teaches the main one.
        arms: as the user gave them.
        main: the main network.
        coefficients: names that are coefficients in every arm.
        build: of arms without their own.
        compile: arguments of all arms.

    Raises:
        ValueError: for an unknown control or arm, or a name that an arm has already.
    """
    named = (asked,) if isinstance(asked, str) else asked
    found: dict[str, Any] = {}
    for name in named:
        if name not in CONTROLS:
            raise ValueError(f"`controls`: {unknown('control', name, CONTROLS)}.")
        if name in arms:
            raise ValueError(f"`controls`: there is an arm {name!r} already.")
        if name in ("alone", "self-training"):
            found[name] = alone(main) if name == "alone" else self_training(main)
            continue
        of = named[name] if isinstance(named, Mapping) else None
        arm = _controlled(name, of, arms, main)
        if name == "twin":
            found[name] = twin(arm, main, build, compile, coefficients)
        else:
            found[name] = _weighted(name, arm, coefficients)
    return {**found, **arms}


def _controlled(
    name: str, of: str | None, arms: Mapping[str, Any], main: str
) -> dict[str, Any]:
    """Return the arm whose weights, or whose helpers, are to be others."""
    if of is not None:
        if of not in arms:
            raise ValueError(
                f"`controls`: {name!r} is to control {of!r}, which is no arm"
                f"{nearest(of, arms)} (arms: {', '.join(arms)})."
            )
        return _as_dict(arms[of])
    for arm in map(_as_dict, reversed(list(arms.values()))):
        objective = arm.get("objective")
        if objective is None:
            continue
        if name == "twin" and twins.teaches(objective, main):
            return arm
        if name != "twin" and len(Objective(objective).summands) > 1:
            return arm
    if name == "twin":
        raise ValueError(
            f"`controls`: 'twin' needs an arm in which another network teaches {main!r}"
            "; found none."
        )
    raise ValueError(f"`controls`: no arm has a sum that {name!r} could control.")


def _as_dict(arm: object) -> dict[str, Any]:
    return dict(arm) if isinstance(arm, Mapping) else {"objective": arm}


def _weighted(
    name: str, own: dict[str, Any], coefficients: Iterable[str]
) -> dict[str, Any]:
    known = {*coefficients, *own.pop("coefficients", {})}
    make = equal_weights if name == "equal weights" else random_weights
    return {**own, **make(own["objective"], known)}


def _sum(terms: Iterable[Expression]) -> str:
    total, *rest = terms
    for term in rest:
        negated = isinstance(term, Negative)
        total = total - term.operand if negated else total + term  # type: ignore[attr-defined]
    return str(Objective(total))


def _bare_summands(
    objective: str | Expression | Objective, coefficients: Iterable[str]
) -> list[Expression]:
    known = frozenset(coefficients)
    return [_bare(summand, known) for summand in Objective(objective).summands]


def _bare(node: Expression, coefficients: frozenset[str]) -> Expression:
    """Return a summand without the numbers and coefficients before it."""
    if isinstance(node, Negative):
        return _turned(_bare(node.operand, coefficients))
    if isinstance(node, Binary) and node.operator in "*/":
        factor, rest = node.right, node.left
        if node.operator == "*" and _constant(node.left, coefficients):
            factor, rest = node.left, node.right
        if _constant(factor, coefficients) and not _constant(rest, coefficients):
            bare = _bare(rest, coefficients)
            return _turned(bare) if _negative(factor) else bare
    return node


def _turned(node: Expression) -> Expression:
    return node.operand if isinstance(node, Negative) else negative(node)


def _constant(node: Expression, coefficients: frozenset[str]) -> bool:
    return not any(
        isinstance(below, Port)
        or (isinstance(below, Name) and below.identifier not in coefficients)
        for below in node.walk()
    )


def _negative(factor: Expression) -> bool:
    return isinstance(factor, Negative) or (
        isinstance(factor, Number) and factor.value < 0
    )
