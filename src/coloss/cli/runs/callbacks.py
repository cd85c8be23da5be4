"""What watches a training from the command line."""

from __future__ import annotations

import time
from typing import Any

import keras

from coloss.cli.output import Output, Tracker
from coloss.run_folder import LAST, RunFolder


class Journal(keras.callbacks.Callback):
    """Keeps every epoch's entries: in the log as it ends, and as rows.

    Args:
        run: the folder.
        output: told of every epoch.
        tracker: of progress, in epochs.
        shown: the entries that are shown beside it.

    Attributes:
        rows: one an epoch.
    """

    every_step = False  # Now and then is enough for the bar.

    def __init__(
        self, run: RunFolder, output: Output, tracker: Tracker, shown: list[str]
    ) -> None:
        """Start without an epoch."""
        super().__init__()
        self._run, self._output, self._tracker = run, output, tracker
        self._shown, self._epoch = shown, 0
        self.rows: list[dict[str, float]] = []
        self._start = time.monotonic()

    def get_state(self) -> dict[str, Any]:
        """Return the rows, for a run that is resumed."""
        return {"rows": self.rows}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set what `get_state` returned."""
        self.rows = state["rows"]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Move the bar within long epochs."""
        steps = self.params.get("steps")
        if steps:
            self._tracker.step(self._epoch + (batch + 1) / steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the epoch down."""
        entries = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch, **entries})
        seconds = round(time.monotonic() - self._start, 3)
        self._run.append_log("epoch", epoch=epoch, seconds=seconds, **entries)
        self._output.event("epoch", epoch=epoch, seconds=seconds, **entries)
        figures = {name: entries[name] for name in self._shown if name in entries}
        self._tracker.step(epoch + 1, figures)


class Checkpoints(keras.callbacks.Callback):
    """Writes the joint model now and then; the newest file is always whole.

    Args:
        run: the folder.
        every: epochs.
    """

    def __init__(self, run: RunFolder, every: int) -> None:
        """Write nothing yet."""
        super().__init__()
        self._run, self._every = run, every

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the model, where it is this epoch's turn."""
        if (epoch + 1) % self._every == 0:
            with self._run.writing(LAST) as partial:
                self.model.save(partial)
