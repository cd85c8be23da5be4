"""What no single value shows of members with recorded predictions."""

from __future__ import annotations

from collections.abc import Iterator

from coloss.cli.config.problems import Path, Problem
from coloss.cli.config.root import Config
from coloss.objective import Objective, reach
from coloss.objective.expression import Port

_OF_NETWORKS = (
    "data",
    "inputs",
    "missing",
    "input_dropout",
    "fill",
    "layers",
    "model",
    "frozen",
    "learning_rate",
)

_FITTING = {"classification": ("probabilities", "logits"), "regression": ("values",)}


def recorded_members(config: Config) -> Iterator[Problem]:
    """Yield what recorded predictions cannot have, or be.

    Args:
        config: whose values are right one by one.
    """
    for name, member in config.members.items():
        path = ("members", name)
        if member.outputs is None:
            if member.kind is not None:
                yield Problem((*path, "kind"), "is for a member with `outputs`")
            continue
        for key in _OF_NETWORKS:
            if member.gives(key):
                yield Problem((*path, key), "is not for a member with `outputs`")
        fitting = _FITTING[config.data.task]
        if member.kind is not None and member.kind not in fitting:
            yield Problem(
                (*path, "kind"),
                f"does not fit a {config.data.task}: {member.kind!r}; expected "
                f"{' or '.join(map(repr, fitting))}",
            )
        if config.data.stream:
            yield Problem((*path, "outputs"), "is not for `data.stream`")
    networks = ", ".join(config.networks)
    if not networks:
        yield Problem(("members",), "are all recorded; expected a network that learns")
    elif config.objective.main in config.recorded:
        yield Problem(
            ("objective", "main"),
            f"is recorded, and learns nothing: {config.objective.main!r} (networks: "
            f"{networks})",
        )


def recorded_uses(config: Config, bound: Objective, path: Path) -> Iterator[Problem]:
    """Yield what an objective asks of recorded predictions in vain.

    Args:
        config: whose values are right one by one.
        bound: an objective, with the members' names.
        path: of its text.
    """
    expression = bound.expression
    for name in sorted(reach.losses(expression) & set(config.recorded)):
        yield Problem(
            path, f"reads the loss of {name!r}, which is recorded: it has none"
        )
    learners = {
        edge.learner.member
        for term in reach.transfer_calls(expression)
        for edge in reach.edges(term)
    }
    for name in sorted(learners & set(config.recorded)):
        yield Problem(path, f"teaches {name!r}, which is recorded and learns nothing")
    for node in expression.walk():
        if isinstance(node, Port) and node.path and node.member in config.recorded:
            yield Problem(
                path,
                f"names a layer of {node.member!r}, which is recorded: it has none",
            )
