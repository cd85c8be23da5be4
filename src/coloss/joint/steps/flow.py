"""Values and gradients of parts of an objective, on each backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from coloss.joint.forward import run_members
from coloss.objective.expression import Expression
from coloss.objective.rows import evaluate

if TYPE_CHECKING:
    from coloss.joint.model import JointModel

Gradients = list[list[np.ndarray]]


class Flow:
    """Measures values and gradients of expressions, in inference mode.

    Nothing of the model changes: no weights, no counts, no random state.

    Args:
        model: a compiled joint model.
        expressions: parts of its objective.
        variables: where gradients are wanted.
    """

    def __init__(
        self,
        model: JointModel,
        expressions: Sequence[Expression],
        variables: Sequence[Any],
    ) -> None:
        """Compile nothing yet."""
        self._model, self._expressions = model, list(expressions)
        self._variables = list(variables)
        # Given at each call, so that a compiled program sees their present values.
        own = {id(variable) for variable in variables}
        self._others = [v for v in model.variables if id(v) not in own]
        self._program: Any = None

    def __call__(
        self, x: Any, y: Any, sample_weight: Any = None
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
        backend = keras.backend.backend()
        if backend == "jax":
            return self._jax(batch)
        measure = _tensorflow if backend == "tensorflow" else _torch
        return measure(lambda: self._values(*batch), self._variables)

    def _values(self, x: Any, y: Any, sample_weight: Any) -> list[Any]:
        model = self._model
        forward = run_members(model.members, x, False, model._compiled().tapped)
        batch = model.batch_of(forward, y, sample_weight)
        return [evaluate(one, batch).value() for one in self._expressions]

    def _jax(self, batch: list[Any]) -> tuple[list[float], Gradients]:
        import jax

        def measure(arrays: Any, others: Any, batch: Any) -> Any:
            rest = list(zip(self._others, others, strict=True))

            def function(arrays: list[Any]) -> Any:
                mapping = [*zip(self._variables, arrays, strict=True), *rest]
                with keras.StatelessScope(state_mapping=mapping):
                    return jax.numpy.stack(self._values(*batch))

            values, pull_back = jax.vjp(function, arrays)
            return values, [pull_back(row)[0] for row in np.eye(len(values), dtype="f")]

        if self._program is None:
            self._program = jax.jit(measure)
        arrays = [variable.value for variable in self._variables]
        others = [variable.value for variable in self._others]
        values, gradients = self._program(arrays, others, batch)
        return [float(v) for v in values], [
            [np.asarray(part) for part in row] for row in gradients
        ]


def summand_gradients(
    model: JointModel, variables: list[Any], x: Any, y: Any, sample_weight: Any
) -> Gradients:
    """Return the gradient of each summand at each variable; see `Flow`."""
    summands = [summand for summand, _ in model._compiled().summands]
    return Flow(model, summands, variables)(x, y, sample_weight)[1]


def _tensorflow(
    values: Callable[[], list[Any]], variables: list[Any]
) -> tuple[list[float], Gradients]:
    import tensorflow as tf

    places = [variable.value for variable in variables]
    with tf.GradientTape(persistent=True) as tape:
        results = values()
    found = []
    for result in results:
        parts = tape.gradient(result, places, unconnected_gradients="zero")
        found.append([tf.convert_to_tensor(part).numpy() for part in parts])
    return [float(result) for result in results], found


def _torch(
    values: Callable[[], list[Any]], variables: list[Any]
) -> tuple[list[float], Gradients]:
    import torch

    places = [variable.value for variable in variables]
    results, found = values(), []
    for result in results:
        if not result.requires_grad:
            found.append([np.zeros(tuple(place.shape)) for place in places])
            continue
        parts = torch.autograd.grad(
            result, places, retain_graph=True, allow_unused=True
        )
        found.append(
            [
                np.zeros(tuple(place.shape))
                if part is None
                else part.detach().cpu().numpy()
                for part, place in zip(parts, places, strict=True)
            ]
        )
    return [float(result.detach()) for result in results], found
