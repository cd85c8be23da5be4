"""What an update holds on the backends that assign variables in place."""

from __future__ import annotations

import keras

from coloss.joint.base import StepBase
from coloss.joint.steps.combined import rates_of
from coloss.typing import Tensor


class Update:
    """An update that can be looked at before it is made, and taken back.

    Args:
        model: whose variables are moved.
        loss: of this step.
        gradients: of the trained variables.
        variables: these.
        moved: what the forward pass may have assigned, with its value before.
        rates: factors of the networks' updates; None: 1.
    """

    def __init__(
        self,
        model: StepBase,
        loss: Tensor,
        gradients: list[Tensor],
        variables: list[keras.Variable],
        moved: list[tuple[keras.Variable, Tensor]],
        rates: Tensor | None,
    ) -> None:
        """Move nothing yet."""
        self.loss, self._gradients, self._variables = loss, gradients, variables
        self._model, self._moved = model, moved
        self._factors = list(rates_of(model, rates))

    def restore_forward(self) -> None:
        """Take back what layers assigned in the forward pass."""
        for variable, before in self._moved:
            variable.assign(before)
