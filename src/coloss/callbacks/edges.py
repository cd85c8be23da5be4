"""The edges of a joint model, and how strongly each pulls at its learner."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from coloss.joint.explain.term_gradients import Flow
from coloss.joint.inputs.per_member import spell_out
from coloss.objective import reach
from coloss.objective.expression import Name

if TYPE_CHECKING:
    from coloss.joint import JointModel


@dataclasses.dataclass(frozen=True)
class EdgeFlow:
    """One edge in one epoch.

    Attributes:
        epoch: from 0.
        term: the summand, as in the history.
        sources: members that teach, with a comma between.
        learner: the member that is taught.
        value: of the summand.
        norm: of the summand's gradient at the learner (Euclidean).
        own_norm: of the gradient of the learner's own loss there; NaN without one.
        cosine: between both gradients; NaN where one of them is 0 or missing.
    """

    epoch: int
    term: str
    sources: str
    learner: str
    value: float
    norm: float
    own_norm: float
    cosine: float


class EdgeMeter:
    """Measures every edge of a compiled joint model.

    Args:
        model: the joint model.
    """

    def __init__(self, model: JointModel) -> None:
        """Find the edges."""
        self._model = model
        settings = model.compiled_settings
        self.edges = list(_edges(model))
        learners = dict.fromkeys(learner for _, _, _, learner in self.edges)
        self._own = [name for name in learners if name in settings.losses]
        summands = [summand for summand, _ in settings.summands]
        self._summands = len(summands)
        self._variables = [
            v for name in learners for v in model[name].trainable_variables
        ]
        own = [Name(name, "member") for name in self._own]
        self._flow = Flow(model, [*summands, *own], self._variables)

    def measure(self, epoch: int, batch: tuple[Any, Any, Any]) -> list[EdgeFlow]:
        """Return every edge's flow on one batch (x, y, sample_weight)."""
        if not self.edges:
            return []
        x, y, weight = batch
        y, weight = spell_out(tuple(self._model), y, weight)
        values, gradients = self._flow(x, y, weight)
        place = {id(variable): i for i, variable in enumerate(self._variables)}

        def at(row: int, member: str) -> np.ndarray:
            own = self._model[member].trainable_variables
            parts = [gradients[row][place[id(v)]] for v in own]
            return np.concatenate([np.asarray(p, "float64").ravel() for p in parts])

        found = []
        for index, term, sources, learner in self.edges:
            pull = at(index, learner)
            norm, own_norm, cosine = float(np.linalg.norm(pull)), np.nan, np.nan
            if learner in self._own:
                own = at(self._summands + self._own.index(learner), learner)
                own_norm = float(np.linalg.norm(own))
                if norm * own_norm > 0:
                    cosine = float(pull @ own / (norm * own_norm))
            found.append(
                EdgeFlow(
                    epoch, term, sources, learner, values[index], norm, own_norm, cosine
                )
            )
        return found


def _edges(model: JointModel) -> Iterator[tuple[int, str, str, str]]:
    """Yield summand, its name, sources and learner, each learner once a summand."""
    for index, (summand, name) in enumerate(model.compiled_settings.summands):
        by_learner: dict[str, dict[str, None]] = {}
        for term in reach.transfer_calls(summand):
            for edge in reach.edges(term):
                sources = dict.fromkeys(source.member for source in edge.sources)
                by_learner.setdefault(edge.learner.member, {}).update(sources)
        for learner, found in by_learner.items():
            if model[learner].trainable_variables:
                yield index, name, ", ".join(found), learner
