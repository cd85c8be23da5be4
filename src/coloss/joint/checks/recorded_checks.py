"""Whether an objective may use recorded predictions as it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras

from coloss.joint.recorded import LOGITS, PROBABILITIES, VALUES, kind_of
from coloss.joint.supervision.member_loss import CLASSES as CLASSIFIERS
from coloss.joint.supervision.member_loss import MemberLoss
from coloss.objective import Objective, reach
from coloss.objective.expression import Call, Port
from coloss.transfer import TERMS
from coloss.transfer.terms import CLASSES, OUTPUTS


def check_recorded(
    members: Mapping[str, keras.Model],
    losses: Mapping[str, MemberLoss],
    objective: Objective,
) -> None:
    """Refuse what recorded predictions cannot do.

    Args:
        members: the networks, recorded ones among them.
        losses: of the members that have one.
        objective: bound.

    Raises:
        ValueError: naming the member, what is recorded, and what reads it.
    """
    kinds = {name: kind for name, one in members.items() if (kind := kind_of(one))}
    for name, kind in kinds.items():
        if name in losses:
            _check_loss(losses[name], kind)
    for term in reach.transfer_calls(objective.expression) if kinds else ():
        for learner, source in _pairs(term):
            if learner.member in kinds:
                raise ValueError(
                    f"`{term}`: {learner.member!r} is recorded and learns nothing; "
                    f"write {term.function}({learner.member} >> NETWORK)."
                )
            if source.member in kinds:
                _check_source(term, learner, source, kinds[source.member], losses)


def _pairs(term: Call) -> Iterator[tuple[Port, Port]]:
    for edge in reach.edges(term):
        yield from ((edge.learner, source) for source in edge.sources)


def _check_loss(loss: MemberLoss, kind: str) -> None:
    wanted = {PROBABILITIES: False, LOGITS: True}.get(kind)
    classifies = loss.kind in CLASSIFIERS
    if (kind == VALUES) == classifies or (
        classifies and loss.from_logits is not wanted
    ):
        expected = "numbers"
        if classifies:
            expected = LOGITS if loss.from_logits else PROBABILITIES
        raise ValueError(
            f"the loss of {loss.name!r} expects {expected}; it has {kind} recorded."
        )


def _check_source(
    term: Call,
    learner: Port,
    source: Port,
    kind: str,
    losses: Mapping[str, MemberLoss],
) -> None:
    level, name = TERMS[term.function].level, source.member
    if source.path:
        raise ValueError(f"`{term}`: {name!r} is recorded and has no layers.")
    if level == CLASSES and kind == VALUES:
        raise ValueError(
            f"`{term}` compares class probabilities, and {name!r} has values recorded. "
            f"Use match_logits({name} >> {learner.member}), or say what they are: "
            'Recorded(kind="probabilities").'
        )
    loss = losses.get(learner.member)
    if level != OUTPUTS or loss is None:
        return
    if (loss.kind in CLASSIFIERS) == (kind == VALUES):
        what = "classes" if loss.kind in CLASSIFIERS else "numbers"
        raise ValueError(
            f"`{term}`: {learner.member!r} learns {what}, and {name!r} has {kind} "
            "recorded."
        )
