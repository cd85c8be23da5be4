"""What changes between the epochs of a `fit`."""

from __future__ import annotations

from typing import Any

import keras


class EpochCallback(keras.callbacks.Callback):
    """Sets scheduled coefficients at each epoch, and logs what moves."""

    def _statistics(self) -> Any:
        """Return the sums of weights and conflicts so far; None where none are kept."""
        statistics = self.model.auxiliary.balance.statistics
        return None if statistics is None else statistics.numpy()

    def _gate(self, is_open: bool) -> None:
        """Say whether batches for evaluation are validation."""
        statistics = self.model.auxiliary.balance.statistics
        if statistics is not None:
            statistics.set_gate(is_open)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Shut out evaluations that are no validation."""
        self.model.auxiliary.balance.forget_validation()
        self._gate(False)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Let in the batches of a validation."""
        self._gate(True)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Shut out evaluations that are no validation."""
        self._gate(False)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Open the gate again."""
        self._gate(True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the coefficients of this epoch."""
        layer = self.model.coefficient_layer
        self._sums = self._statistics()
        self.model.auxiliary.schedule.move(epoch)
        self.model.auxiliary.running_accuracy.start_epoch()
        self._start = layer.move(epoch)
        self._before = layer.numbers()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Put into the history what has a schedule or was changed by hand."""
        self.model.auxiliary.running_accuracy.end_epoch()
        if logs is None:
            return
        statistics = self.model.auxiliary.balance.statistics
        if statistics is not None and self._sums is not None:
            logs |= statistics.entries(self._sums, statistics.numpy())
        for name, value in self.model.coefficient_layer.numbers().items():
            moved = name in self._start or name in self.model.moving_coefficients
            if moved or value != self._before[name]:
                self.model.moving_coefficients.add(name)
                logs[name] = value
