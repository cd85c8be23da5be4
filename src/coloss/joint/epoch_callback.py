"""What changes between the epochs of a `fit`: one callback a thing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

Logs = dict[str, Any] | None


class EpochCallback(keras.callbacks.Callback):
    """Moves schedules at the start of an epoch, and logs coefficients that move."""

    def __init__(self) -> None:
        """Know of no epoch yet."""
        super().__init__()
        self._scheduled: dict[str, float] = {}
        self._before: dict[str, float] = {}

    def get_state(self) -> dict[str, Any]:
        """Return what is remembered from the start of an epoch to its end."""
        return {"scheduled": self._scheduled, "before": self._before}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set what `get_state` returned."""
        self._scheduled, self._before = state["scheduled"], state["before"]

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Set the coefficients of this epoch, and the terms that count in it."""
        layer = self.model.coefficient_layer
        self.model.auxiliary.schedule.move(epoch)
        self._scheduled = layer.move(epoch)
        self._before = layer.numbers()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Put into the history what has a schedule or was changed by hand."""
        if logs is None:
            return
        known = self.model.moving_coefficients
        for name, value in self.model.coefficient_layer.numbers().items():
            moves = name in self._scheduled or name in known
            if moves or value != self._before[name]:
                known.add(name)
                logs[name] = value


class MeasuredAccuracy(keras.callbacks.Callback):
    """Lets gates go by the accuracy of each epoch's validation."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Forget what was counted outside of this epoch's validation."""
        self.model.auxiliary.running_accuracy.start_epoch()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Take over this epoch's validation, if there was one."""
        self.model.auxiliary.running_accuracy.end_epoch()


class ValidationGate(keras.callbacks.Callback):
    """Tells a weighting that reads validation rows which evaluations are of these.

    An evaluation by the user, before, between or after, may be of test rows.
    """

    def on_train_begin(self, logs: Logs = None) -> None:
        """Shut out evaluations that are no validation."""
        balance = self.model.auxiliary.balance
        balance.weigher.forget_validation()
        balance.set_gate(False)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Let in the batches of a validation."""
        self.model.auxiliary.balance.set_gate(True)

    def on_test_end(self, logs: Logs = None) -> None:
        """Shut out evaluations that are no validation."""
        self.model.auxiliary.balance.set_gate(False)

    def on_train_end(self, logs: Logs = None) -> None:
        """Open the gate again."""
        self.model.auxiliary.balance.set_gate(True)


class BalanceLog(keras.callbacks.Callback):
    """Logs each epoch's mean weights and how often gradients opposed each other."""

    def __init__(self) -> None:
        """Know of no epoch yet."""
        super().__init__()
        self._before: dict[str, np.ndarray] = {}

    def get_state(self) -> dict[str, Any]:
        """Return what is remembered from the start of an epoch to its end."""
        return {"before": self._before}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set what `get_state` returned."""
        self._before = state["before"]

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the sums so far."""
        self._before = self.model.auxiliary.balance.statistics.numpy()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Put the epoch's means into the history."""
        if logs is not None:
            statistics = self.model.auxiliary.balance.statistics
            logs |= statistics.entries(self._before, statistics.numpy())


def epoch_callbacks() -> list[keras.callbacks.Callback]:
    """Return what every `fit` of a joint model needs, in the order of the history."""
    return [MeasuredAccuracy(), ValidationGate(), BalanceLog(), EpochCallback()]
