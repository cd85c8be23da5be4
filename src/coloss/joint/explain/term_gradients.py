"""Values and gradients of parts of an objective, on each backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from coloss.joint.autodiff import ValuesAndGradients
from coloss.joint.explain.kept_variables import states_of, variables_kept
from coloss.joint.outputs.forward import run_members
from coloss.joint.protocols import ExplainableModel
from coloss.objective.expression import Expression
from coloss.objective.rows import evaluate
from coloss.typing import ByMember, Nested, Tensor

Gradients = list[list[np.ndarray]]


class Flow:
    """Measures values and gradients of expressions.

    In inference mode nothing of the model changes: no weights, no counts, no random
    state. In training mode layers do what they do there.

    Args:
        model: a compiled joint model.
        expressions: parts of its objective.
        variables: where gradients are wanted.
        training: the mode.
    """

    def __init__(
        self,
        model: ExplainableModel,
        expressions: Sequence[Expression],
        variables: Sequence[keras.Variable],
        *,
        training: bool = False,
    ) -> None:
        """Compile nothing yet."""
        self._training = training
        self._model, self._expressions = model, list(expressions)
        self._variables = list(variables)
        own = {id(variable) for variable in variables}
        others = [v for v in model.variables if id(v) not in own]
        self._measure = ValuesAndGradients(self._values, self._variables, others)

    def __call__(
        self, x: Mapping[str, Nested], y: ByMember, sample_weight: ByMember = None
    ) -> tuple[list[float], Gradients]:
        """Measure one batch.

        Args:
            x: inputs by member.
            y: its labels.
            sample_weight: its weights.

        Returns:
            Each expression's value, and its gradient at each variable.
        """
        batch = [
            None
            if part is None
            else keras.tree.map_structure(keras.ops.convert_to_tensor, part)
            for part in (dict(x), y, sample_weight)
        ]
        if self._training:
            return self._measure(batch)
        with variables_kept(states_of(self._model.members)):
            return self._measure(batch)

    def _values(
        self, x: Mapping[str, Nested], y: ByMember, sample_weight: ByMember
    ) -> list[Tensor]:
        model, tapped = self._model, self._model.compiled_settings.tapped
        read = model.assembly.by_member(model.members, x, self._training)
        forward = run_members(model.members, read, self._training, tapped)
        # As a training step reads it: within a `fit` with its weights of classes.
        batch = model.batch_of(forward, y, sample_weight, training=True)
        return [evaluate(one, batch).value() for one in self._expressions]


def summand_gradients(
    model: ExplainableModel,
    variables: list[keras.Variable],
    x: Mapping[str, Nested],
    y: ByMember,
    sample_weight: ByMember,
) -> Gradients:
    """Return the gradient of each summand at each variable; see `Flow`."""
    summands = [summand for summand, _ in model.compiled_settings.summands]
    return Flow(model, summands, variables)(x, y, sample_weight)[1]
