"""The control without other inputs: twins of the main network in place of helpers.

A twin has the main network's architecture, input and labels, and other initial weights.
A gain that the main network has with twins as well did not come from what the helpers
see: two networks of one kind teach each other something, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from coloss.joint import Inputs, JointModel
from coloss.names import unknown
from coloss.objective import Expression, Objective, reach

BY_MEMBER = ("loss", "metrics", "weighted_metrics", "optimizer")
"""Arguments of `compile` that may say something of each member."""


class TwinBuild:
    """Builds the networks of an arm, each helper being a twin of the main network.

    The arm's own function is called once more for each helper, so that a twin's
    initial weights are the next ones that Keras's seed gives.

    Args:
        build: returns an uncompiled joint model.
        main: the main network.
    """

    def __init__(self, build: Callable[[], JointModel], main: str) -> None:
        """Build nothing yet."""
        self.build, self.main = build, main
        self.__qualname__ = f"twin of {getattr(build, '__qualname__', 'build')}"

    def __call__(self) -> JointModel:
        """Return the joint model, uncompiled.

        Raises:
            ValueError: if there is no such network, or a twin starts from the same
                weights as the main network.
        """
        joint, main = self.build(), self.main
        if main not in joint.members:
            raise ValueError(f"{unknown('member', main, joint.members)}.")
        reads = joint.assembly.inputs.get(main, Inputs(main))
        members = {main: joint[main]}
        inputs = {main: reads} if main in joint.assembly.inputs else {}
        for name in joint.members:
            if name != main:
                members[name] = self._twin(name, joint[main])
                inputs[name] = reads
        ordered = {name: members[name] for name in joint.members}
        return JointModel(ordered, fuse=joint.fuse, inputs=inputs)

    def _twin(self, name: str, main: keras.Model) -> keras.Model:
        twin = self.build()[self.main]
        # Both would teach each other nothing; a study would call that a result.
        if twin.built and main.trainable_variables and _equal(twin, main):
            raise ValueError(
                f"the twin that stands for {name!r} starts from the weights of "
                f"{self.main!r}: `build` gives the same ones each time. Leave the "
                "seeds of its initializers to Keras: a study sets Keras's own seed "
                "before it builds."
            )
        return twin


def objective_of(
    objective: str | Expression | Objective, main: str, coefficients: Iterable[str] = ()
) -> str:
    """Return the objective of the arm with twins.

    A twin learns from labels: where the objective has no loss of a helper that teaches,
    because it is frozen or recorded, its own loss is added.

    Args:
        objective: of the arm that is controlled.
        main: the main network.
        coefficients: the names in it that are coefficients.

    Examples:
        >>> objective_of("main + distill(expert >> main)", "main")
        'main + distill(expert >> main) + expert'
    """
    given, known = Objective(objective), set(coefficients)
    members = [name for name in given.names if name not in known]
    expression = given.bind(members, known.intersection(given.names)).expression
    trained = {main, *reach.losses(expression)}
    taught_by = [
        port.member
        for call in reach.transfer_calls(expression)
        for edge in reach.edges(call)
        for port in edge.sources
    ]
    missing = [name for name in dict.fromkeys(taught_by) if name not in trained]
    return " + ".join([str(given), *missing])


def teaches(objective: str | Expression | Objective | None, main: str) -> bool:
    """Return whether another network teaches the main one in an objective."""
    if objective is None:
        return False
    calls = reach.transfer_calls(Objective(objective).expression)
    edges = [edge for call in calls for edge in reach.edges(call)]
    return any(
        edge.learner.member == main
        and any(port.member != main for port in edge.sources)
        for edge in edges
    )


def arguments(
    given: Mapping[str, Any], main: str, helpers: Iterable[str]
) -> dict[str, Any]:
    """Return arguments of `compile` that say of each helper what they say of main.

    Args:
        given: arguments of the arm that is controlled.
        main: the main network.
        helpers: the others.
    """
    found = dict(given)
    for key in BY_MEMBER:
        value = found.get(key)
        if not isinstance(value, Mapping):
            continue
        others = {n: v for n, v in value.items() if n not in helpers}
        if main in value:
            others |= dict.fromkeys(helpers, value[main])
        found[key] = others
    return found


def _equal(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(one.trainable_variables, other.trainable_variables, strict=True)
    return all(
        np.array_equal(
            keras.ops.convert_to_numpy(first), keras.ops.convert_to_numpy(second)
        )
        for first, second in pairs
    )
