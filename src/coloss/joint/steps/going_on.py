"""Training that goes on after steps that were not finite, and says so."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from coloss.joint.keras_internals import sync_variables
from coloss.joint.steps.ascent_watch import AscentWatch
from coloss.joint.steps.non_finite import NonFiniteLossError
from coloss.joint.steps.overflow import scales_loss
from coloss.joint.supervision.step_report import RESTORE, SKIPPED, report_of
from coloss.objective import ObjectiveWarning

Logs = dict[str, Any] | None

MOST = 3
"""Epochs in a row that are taken back before training ends."""


class NonFiniteSteps(keras.callbacks.Callback):
    """Tells of skipped steps, and takes epochs back where that is asked for.

    With "skip" and "restore" a bad step changes nothing. Training ends all the same if
    every step of an epoch was bad, or if epoch after epoch has to be taken back.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        super().__init__()
        self._kept: list[tuple[keras.Variable, np.ndarray]] = []
        self._in_a_row, self._skipped = 0, 0

    def get_state(self) -> dict[str, Any]:
        """Return how many epochs in a row were taken back."""
        return {"in a row": self._in_a_row}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set what `get_state` returned."""
        self._in_a_row = state["in a row"]

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Keep the state, where it may have to come back."""
        self._skipped, self._kept = 0, []
        report = report_of(self.model)
        if report is not None and report.policy == RESTORE:
            variables = [*self.model.variables, *self.model.optimizer.variables]
            found = {id(variable): variable for variable in variables}
            self._kept = [
                (one, np.array(keras.ops.convert_to_numpy(one.value)))
                for one in found.values()
            ]

    def on_test_begin(self, logs: Logs = None) -> None:
        """Look before the validation, which begins to count anew."""
        self._look()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Say what was skipped.

        Raises:
            NonFiniteLossError: if no step was finite, or too many epochs had bad ones.
        """
        self._look()
        if logs is not None:
            logs.pop(f"val_{SKIPPED}", None)
        report = report_of(self.model)
        if report is None or not report.skips:
            return
        if not self._skipped:
            self._in_a_row = 0
            return
        steps, taken_back = (self.params or {}).get("steps"), bool(self._kept)
        self._in_a_row += taken_back
        told = f"{self._skipped} of {steps or 'its'} steps were not finite"
        entries = {"loss": float("nan")}
        if steps is not None and self._skipped >= steps:
            raise NonFiniteLossError(entries, epoch=epoch, where=f"{told}: ")
        if self._in_a_row >= MOST:
            where = f"{told}, as in the {MOST - 1} epochs before: "
            raise NonFiniteLossError(entries, epoch=epoch, where=where)
        came = "the state is that before the epoch" if taken_back else "were skipped"
        joined = f"{told}, and {came}" if not taken_back else f"{told}; {came}"
        warnings.warn(f"epoch {epoch + 1}: {joined}.", ObjectiveWarning, stacklevel=2)

    def _look(self) -> None:
        report = report_of(self.model)
        if self._skipped or report is None or not report.skips:
            return
        sync_variables(self.model)
        self._skipped = report.skipped
        if self._skipped:
            for variable, value in self._kept:
                variable.assign(value)


class LossScale(keras.callbacks.Callback):
    """Tells where half precision overflows so often that training stands still."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Note where the scale begins."""
        self._told = False

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Look at the factor that the optimizer scales the loss by."""
        optimizer = self.model.optimizer
        if self._told or optimizer is None or not scales_loss(optimizer):
            return
        scale = float(keras.ops.convert_to_numpy(optimizer.dynamic_scale.value))
        if scale < 1.0:
            self._told = True
            warnings.warn(
                f"epoch {epoch + 1}: gradients overflow in half precision; the loss "
                f"scale is down to {scale:g}, and the steps at which they do change "
                "nothing. Look for a loss or a learning rate that is too high, or "
                "train in bfloat16 or float32.",
                ObjectiveWarning,
                stacklevel=2,
            )


def watchers() -> list[keras.callbacks.Callback]:
    """Return what tells of a training that goes wrong, and goes on."""
    return [NonFiniteSteps(), LossScale(), AscentWatch()]
