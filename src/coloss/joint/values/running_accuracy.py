"""How good each member is, measured while training: what gates go by."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterator, Mapping

import keras
from keras import ops

from coloss.joint.recorded import kind_of
from coloss.joint.supervision.member_loss import CLASSES, REGRESSION, MemberLoss
from coloss.joint.values.running_errors import (
    TRAINED,
    VALIDATED,
    Errors,
    RunningErrors,
)
from coloss.objective import Objective, reach
from coloss.transfer import gate
from coloss.typing import Tensor


class RunningAccuracy(keras.layers.Layer):
    """Running accuracy of the members that a network gate compares.

    Of members that predict numbers it is their skill, 1 - loss / loss of the mean; see
    `RunningErrors`.

    With validation data, it is the accuracy of the last validation. Without, it is the
    accuracy on labeled training rows, each counted as it came by, over the whole
    training so far. It says who learned faster, and goes on saying so when all of them
    know their rows by heart and the present accuracy of each is 1.

    Args:
        objective: the joint loss, bound; None: nobody is compared.
        widths: the number of values of a label, by member that predicts numbers.

    Reference:
        Lyle et al. 2020, "A Bayesian Perspective on Training Speed and Model
        Selection", arXiv:2010.14499: what is learned faster tends to hold on new rows.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        widths: Mapping[str, int] | None = None,
    ) -> None:
        """Create the counts of the members that are compared."""
        super().__init__(name="reliability", trainable=False)
        self._shown_open = False
        self.names = () if objective is None else compared(objective)
        self.judges = {} if objective is None else judged(objective)
        if self.names:
            for name in ("accuracy", "trained", "right", "seen", "validated"):
                setattr(self, f"_{name}", self._vector(name))
        self.errors = RunningErrors(widths) if widths else None
        self.built = True

    def _vector(self, name: str) -> keras.Variable:
        return self.add_weight(
            shape=(len(self.names),),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            aggregation="mean",  # Every replica counts the whole batch.
            name=name,
        )

    @property
    def numbers(self) -> Collection[str]:
        """The members that predict numbers."""
        return () if self.errors is None else self.errors.widths

    def observe(
        self,
        right: Mapping[str, tuple[Tensor, Tensor]],
        training: bool,
        errors: Mapping[str, Errors] | None = None,
    ) -> None:
        """Take in one batch.

        Args:
            right: labeled rows that a member classifies right, and labeled rows; of
                members that predict numbers, anything and the labeled rows.
            training: whether this is a training batch, or a validation batch.
            errors: of the members that predict numbers.
        """
        if not self.names:
            return
        if self.errors is not None:
            self.errors.add(errors or {}, TRAINED if training else VALIDATED)
        hits = ops.stack([ops.cast(right[name][0], "float32") for name in self.names])
        rows = ops.stack([ops.cast(right[name][1], "float32") for name in self.names])
        if not training:
            self._right.assign(self._right + hits)
            self._seen.assign(self._seen + rows)
            return
        before = ops.convert_to_tensor(self._accuracy)
        trained = ops.convert_to_tensor(self._trained) + rows
        mean = before + ops.divide_no_nan(hits - rows * before, trained)
        mean = self._with_skills(mean, TRAINED)
        validated = ops.convert_to_tensor(self._validated)
        self._trained.assign(trained)
        self._accuracy.assign(ops.where(ops.equal(validated, 0.0), mean, before))

    def _with_skills(self, values: Tensor, phase: int) -> Tensor:
        """Return (members,) values, those that predict numbers with their skill."""
        if self.errors is None:
            return values
        skills = self.errors.skill(phase)
        places = {name: place for place, name in enumerate(self.errors.widths)}
        return ops.stack(
            [
                skills[places[name]] if name in places else values[index]
                for index, name in enumerate(self.names)
            ]
        )

    def start_epoch(self) -> None:
        """Forget what was counted outside of this epoch's validation."""
        if self.errors is not None:
            self.errors.forget_validation()
        if self.names:
            self._right.assign(ops.zeros((len(self.names),)))
            self._seen.assign(ops.zeros((len(self.names),)))

    def end_epoch(self) -> None:
        """Take over this epoch's validation, if there was one."""
        if not self.names:
            return
        seen = ops.convert_to_tensor(self._seen)
        fresh = ops.divide_no_nan(ops.convert_to_tensor(self._right), seen)
        fresh = self._with_skills(fresh, VALIDATED)
        before = ops.convert_to_tensor(self._accuracy)
        self._accuracy.assign(ops.where(seen > 0, fresh, before))
        done = ops.convert_to_tensor(self._validated)
        self._validated.assign(ops.where(seen > 0, ops.ones_like(done), done))

    def trust(self, learner: str, source: str) -> Tensor:
        """Return how far a source may teach a learner: from 0 to 1."""
        accuracy = ops.convert_to_tensor(self._accuracy)
        index = self.names.index
        found = gate.network_gate(accuracy[index(learner)], accuracy[index(source)])
        if not self._shown_open:
            return found
        seen = ops.convert_to_tensor(self._trained) + self._validated
        return ops.where(ops.any(ops.greater(seen, 0.0)), found, ops.ones_like(found))

    @contextlib.contextmanager
    def shown_open(self) -> Iterator[None]:
        """Take gates for open as long as nothing was measured: for an explanation.

        Before training they are closed, and would hide what the objective is made for.
        """
        self._shown_open = True
        try:
            yield
        finally:
            self._shown_open = False


def judged(objective: Objective) -> dict[str, str]:
    """Return for each member that a network gate compares a learner it teaches.

    Whoever has no labels of its own, as recorded predictions, is judged by these.
    """
    found: dict[str, str] = {}
    for term in reach.transfer_calls(objective.expression):
        if term.option("gate") == "network":
            for edge in reach.edges(term):
                for port in edge.sources:
                    found.setdefault(port.member, edge.learner.member)
    return found


def compared(objective: Objective) -> tuple[str, ...]:
    """Return the members that a network gate compares."""
    found: dict[str, None] = {}
    for term in reach.transfer_calls(objective.expression):
        if term.option("gate") != "network":
            continue
        for edge in reach.edges(term):
            for port in (edge.learner, *edge.sources):
                found[port.member] = None
    return tuple(found)


def number_widths(
    objective: Objective,
    losses: Mapping[str, MemberLoss],
    members: Mapping[str, keras.Model],
) -> dict[str, int]:
    """Return the number of values of a label, by compared member that predicts numbers.

    Args:
        objective: the joint loss, bound.
        losses: of the members.
        members: the networks.

    Raises:
        ValueError: if a gate compares a member that predicts numbers with a
            classifier, or does not know how many numbers it predicts.
    """
    kinds, judges = {}, judged(objective)
    for name in compared(objective):
        loss = losses.get(name) or losses.get(judges.get(name, name))
        kinds[name] = None if loss is None else loss.kind
    for judge, name in ((judge, name) for name, judge in judges.items()):
        pair = {kinds[name], kinds[judge]}
        if REGRESSION in pair and pair.intersection(CLASSES):
            raise ValueError(
                f'gate="network" compares {name!r} with {judge!r}; one predicts '
                "classes, the other numbers, and they have no common measure. Leave "
                "out the gate of this term."
            )
    numbers = [name for name, kind in kinds.items() if kind == REGRESSION]
    return {name: _width(name, judges, members) for name in numbers}


def _width(
    name: str, judges: Mapping[str, str], members: Mapping[str, keras.Model]
) -> int:
    member = members[name]
    if kind_of(member) is not None:
        member = members[judges[name]]
    shape = getattr(member, "output_shape", None) if member.built else None
    if isinstance(shape, tuple) and len(shape) < 3 and None not in shape[1:]:
        return math.prod(shape[1:])
    what = "is not built yet" if shape is None else f"has outputs of shape {shape}"
    raise ValueError(
        f'gate="network" measures how well {name!r} predicts, whose network {what}; '
        "expected (rows, values). Let it begin with keras.Input, and end in "
        "keras.layers.Dense."
    )
