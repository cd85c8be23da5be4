"""The projectors of an objective: made when shapes are known, trained, not deployed."""

from __future__ import annotations

from collections.abc import Callable

import keras

from coloss.objective import Objective, reach
from coloss.objective.expression import Call, Port
from coloss.transfer import TERMS
from coloss.transfer.projector import BOTH, EMBEDDING, NONE, Projector
from coloss.typing import Shape

Key = tuple[Call, Port, Port]
Shapes = list[tuple[tuple[int | None, ...], tuple[int | None, ...]]]


class Projectors(keras.layers.Layer):
    """One projector for each edge whose term needs one.

    A part of the joint model and of no member: saved for resume, and left behind when
    a member is deployed.

    Args:
        objective: the joint loss, bound; None: no projector.
    """

    def __init__(self, objective: Objective | None = None) -> None:
        """Find the edges; their shapes come later."""
        super().__init__(name="projectors")
        self._keys = () if objective is None else tuple(needed(objective))
        self.built = not self._keys

    def create(self, shapes_of: Callable[[Key], tuple[Shape, Shape]]) -> None:
        """Make every projector.

        Args:
            shapes_of: a function from an edge to the shapes of learner and source,
                (batch, ..., channels), as the term will see them.
        """
        for index, key in enumerate(self._keys):
            layer = Projector(*_options_of(key[0]), name=f"edge_{index}")
            shapes = shapes_of(key)
            try:
                layer.build(*shapes)
            except ValueError as error:
                raise ValueError(f"`{key[0]}`: {error}") from error
            setattr(self, f"_edge_{index}", layer)
        self.built = True

    def __getitem__(self, key: Key) -> Projector:
        """Return an edge's projector."""
        return getattr(self, f"_edge_{self._keys.index(key)}")

    def by_learner(self) -> dict[str, list[keras.Variable]]:
        """Return the trainable variables by the member whose optimizer moves them."""
        found: dict[str, list[keras.Variable]] = {}
        for key in self._keys if self.built else ():
            variables = self[key].trainable_variables
            found.setdefault(key[1].member, []).extend(variables)
        return found

    def shapes(self) -> Shapes | None:
        """Return the shapes each projector was made for; None before that."""
        if not self.built:
            return None
        return [self[key]._shapes for key in self._keys]

    def create_from(self, shapes: Shapes) -> None:
        """Make every projector from the shapes that `shapes` returned."""
        by_key = dict(zip(self._keys, shapes, strict=True))
        self.create(lambda key: by_key[key])


def needed(objective: Objective) -> list[Key]:
    """Return the edges, each once, whose term needs a projector."""
    found: dict[Key, None] = {}
    for term in reach.transfer_calls(objective.expression):
        if TERMS[term.function].projector == NONE:
            continue
        for edge in reach.edges(term):
            for source in edge.sources:
                found[term, edge.learner, source] = None
    return list(found)


def _options_of(term: Call) -> tuple[str, int | None]:
    """Return the kind of a term's projector and the width of its embedding."""
    kind = TERMS[term.function].projector
    return kind, term.option("dimension", EMBEDDING) if kind == BOTH else EMBEDDING
