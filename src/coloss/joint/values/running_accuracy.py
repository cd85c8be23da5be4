"""How often each member is right, measured while training: what gates go by."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import keras
from keras import ops

from coloss.objective import Objective, reach
from coloss.transfer import gate
from coloss.typing import Tensor


class RunningAccuracy(keras.layers.Layer):
    """Running accuracy of the members that a network gate compares.

    With validation data, it is the accuracy of the last validation. Without, it is the
    accuracy on labeled training rows, each counted as it came by, over the whole
    training so far. It says who learned faster, and goes on saying so when all of them
    know their rows by heart and the present accuracy of each is 1.

    Args:
        objective: the joint loss, bound; None: nobody is compared.

    Reference:
        Lyle et al. 2020, "A Bayesian Perspective on Training Speed and Model
        Selection", arXiv:2010.14499: what is learned faster tends to hold on new rows.
    """

    def __init__(self, objective: Objective | None = None) -> None:
        """Create the counts of the members that are compared."""
        super().__init__(name="reliability", trainable=False)
        self._shown_open = False
        self.names = () if objective is None else compared(objective)
        self.judges = {} if objective is None else judged(objective)
        if self.names:
            for name in ("accuracy", "trained", "right", "seen", "validated"):
                setattr(self, f"_{name}", self._vector(name))
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

    def observe(
        self, right: Mapping[str, tuple[Tensor, Tensor]], training: bool
    ) -> None:
        """Take in one batch.

        Args:
            right: labeled rows that a member classifies right, and labeled rows.
            training: whether this is a training batch, or a validation batch.
        """
        if not self.names:
            return
        hits = ops.stack([ops.cast(right[name][0], "float32") for name in self.names])
        rows = ops.stack([ops.cast(right[name][1], "float32") for name in self.names])
        if not training:
            self._right.assign(self._right + hits)
            self._seen.assign(self._seen + rows)
            return
        before = ops.convert_to_tensor(self._accuracy)
        trained = ops.convert_to_tensor(self._trained) + rows
        mean = before + ops.divide_no_nan(hits - rows * before, trained)
        validated = ops.convert_to_tensor(self._validated)
        self._trained.assign(trained)
        self._accuracy.assign(ops.where(ops.equal(validated, 0.0), mean, before))

    def start_epoch(self) -> None:
        """Forget what was counted outside of this epoch's validation."""
        if self.names:
            self._right.assign(ops.zeros((len(self.names),)))
            self._seen.assign(ops.zeros((len(self.names),)))

    def end_epoch(self) -> None:
        """Take over this epoch's validation, if there was one."""
        if not self.names:
            return
        seen = ops.convert_to_tensor(self._seen)
        fresh = ops.divide_no_nan(ops.convert_to_tensor(self._right), seen)
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
