"""A training that cannot be lost: the same script, started again, goes on."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import keras

from coloss.checking import COUNT
from coloss.checkpoint import accepted, callback_states, generators, variables
from coloss.checkpoint.beside import Beside
from coloss.checkpoint.files import About, CheckpointError, Packed, packed
from coloss.checkpoint.fingerprint import difference, fingerprint, versions
from coloss.checkpoint.folder import CheckpointFolder, Found
from coloss.checkpoint.pace import Due, Every, check_every
from coloss.checkpoint.processes import (
    agree_on_newest,
    agree_to_leave,
    check_pace,
    joined_fingerprint,
    own_of,
    with_all,
)
from coloss.distributed import barrier, is_main, process_count
from coloss.joint.epochs.resumable import PresentFit
from coloss.joint.keras_internals import start_at
from coloss.typing import FilePath

LOG = logging.getLogger("coloss")

Logs = dict[str, Any] | None


class Checkpoint(keras.callbacks.Callback):
    """Keeps all that a `fit` of a joint model needs, so that a kill costs little.

    The same script, started again, goes on where the last checkpoint was written: with
    the same bits as without the interruption, on the same machine, backend and
    versions. A finished `fit` is not repeated: its weights and history come back.

    A checkpoint holds members, projectors, coefficients, states of weighting,
    aggregator and gates, optimizers, history, the states of other callbacks, and every
    random generator of Keras, Python, NumPy and PyTorch. It is written beside the
    others, to the disk, and takes its name in one move; every file has a SHA-256. A
    damaged one is passed over with a warning that names it.

    Training waits only until the state is copied; a thread writes it. An error there is
    raised when the next step or checkpoint comes, and `fit` does not end before the
    last one is on the disk.

    Of several processes (`coloss.distributed`), process 0 writes, in a folder that all
    of them can read; the same number of processes goes on.

    Args:
        folder: of the checkpoints; one for each `fit`.
        every: "epoch": at the end of each epoch; a number of steps; or a
            `datetime.timedelta`. In the middle of an epoch, only of arrays: of other
            data nobody knows which rows are to come.
        keep: how many checkpoints stay.
        resume: whether to go on from what is in the folder; False: start anew, in an
            empty folder only.
        accept_changes: whether to go on from a checkpoint of other data, networks or
            arguments, as far as its weights fit; a warning says what differs. Else it
            is refused.

    Raises:
        TypeError, ValueError: for arguments that cannot be used.

    Examples:
        >>> import tempfile
        >>> checkpoint = Checkpoint(tempfile.mkdtemp(), keep=3)
        >>> # joint.fit(x, y, epochs=50, callbacks=[checkpoint])
    """

    every_step = False

    def __init__(
        self,
        folder: FilePath,
        every: Every = "epoch",
        keep: int = 2,
        resume: bool = True,
        accept_changes: bool = False,
    ) -> None:
        """Check the arguments; nothing is read or written yet."""
        super().__init__()
        self.every = check_every(every)
        self._due = Due(self.every)
        self.inside_epochs = self.every != "epoch"
        if self.inside_epochs:
            # On the instance: Keras asks whether there is such a function at all, and
            # calls those that there are at every step.
            self.on_train_batch_end = self._after_step
        self.resume, self.accept_changes = bool(resume), bool(accept_changes)
        self._folder = CheckpointFolder(
            Path(folder), COUNT.integer("`keep` of Checkpoint", keep)
        )
        self._fit: PresentFit | None = None
        self._found: Found | None = None
        self._kept: accepted.Settings = []
        self._fingerprint: dict[str, str] = {}
        self._inside: dict[str, Any] | None = None
        self._epoch, self._held, self._leaving = 0, False, False
        self._beside = Beside()
        self._copied: Packed | None = None

    def leave(self) -> None:
        """End the present `fit` after the present step, to go on later.

        A checkpoint is written of that step; with `every="epoch"` the last one stays,
        because an epoch that was cut short is none. The `fit` is not finished. May be
        called at any instant, as by a signal.
        """
        self._leaving = True
        # Of several processes, none may stop before the others do.
        if self.every == "epoch" and process_count() == 1:
            self._stop_here()

    def _stop_here(self) -> None:
        self._held = True
        if self._fit is not None:
            self._fit.model.stop_training = True

    # --- before training -----------------------------------------------------------

    def take_fit(self, fit: PresentFit) -> None:
        """Find the newest checkpoint, before training; `JointModel.fit` calls this.

        Args:
            fit: what is about to begin.

        Raises:
            CheckpointError: if there are checkpoints, and all of them are damaged, or
                the newest is one of another training.
            FileExistsError: with `resume=False`, if the folder is not empty.
            ValueError: if checkpoints are to be written in the middle of an epoch of
                data whose order is not known.
        """
        if fit.order is None and self.every != "epoch":
            raise ValueError(
                f'`every` of Checkpoint must be "epoch" for data of type '
                f"{type(fit.arguments['x']).__name__}: in the middle of an epoch, "
                "nobody knows which of its rows are to come. Of arrays it is known."
            )
        self._fit, self._found, self._held = fit, None, False
        check_pace(self.every)
        self._fingerprint = joined_fingerprint(fingerprint(fit))
        barrier()  # What process 0 had to write is there.
        if not self.resume and not self._folder.is_empty:
            raise FileExistsError(
                f"resume=False starts anew in an empty folder only, and "
                f"{self._folder.path} is not empty. Give another folder, or resume."
            )
        self._kept = []
        self._found = self._folder.newest()
        newest = None if self._found is None else self._found.path
        agree_on_newest(newest, self._folder.path)
        if is_main():
            self._folder.clear_partial()
        if self._found is not None:
            self._check(self._found)

    def _check(self, found: Found) -> None:
        differs = difference(found.about.fingerprint, self._fingerprint)
        if differs and not self.accept_changes:
            raise CheckpointError(
                f"{found.path} is a checkpoint of another training. What differs: "
                f"{differs}. Train as before to go on, or give another folder; or "
                "accept the difference: `accept_changes=True`, --accept-changes."
            )
        if differs:
            names = accepted.changed(found.about.fingerprint, self._fingerprint)
            self._kept = accepted.settings(self._fit.model, names) if self._fit else []
            warnings.warn(
                f"training goes on from {found.path}, a checkpoint of another "
                f"training; accepted: {differs}.",
                UserWarning,
                stacklevel=2,
            )
        other = difference(found.about.versions, versions())
        if other:
            warnings.warn(
                f"{found.path} was written elsewhere or by other versions: {other}. "
                "Training goes on, but the last bits may be others.",
                UserWarning,
                stacklevel=2,
            )

    def end_fit(self) -> None:
        """Wait until all is on the disk, however the `fit` ends.

        Raises:
            OSError: if it cannot be written, as on a full disk. The older ones stay.
        """
        self._leaving, self._copied = False, None
        self._beside.wait()
        if is_main():
            self._folder.clear_partial()

    def on_train_begin(self, logs: Logs = None) -> None:
        """Bring back the newest checkpoint, if there is one.

        Raises:
            TypeError: if the model is no `JointModel`.
        """
        fit = self._fit
        if fit is None or fit.model is not self.model:
            raise TypeError(
                "Checkpoint keeps the `fit` of a coloss.JointModel; found "
                f"{type(self.model).__name__}."
            )
        self._inside = None
        self._due.begin(0)
        if self._leaving:  # Before `fit` had come so far.
            self.leave()
        if self._found is None:
            return
        about, state = self._found.about, own_of(self._found.state)
        self._bring_back(state)
        self._inside = state["rows"]
        self._due.begin(about.step)
        over = about.finished or state["stopped"]
        start_at(self.model, fit.arguments["epochs"] if over else about.epoch)
        LOG.info(
            "%s: %s after %d epochs",
            self._found.path,
            "finished, and not repeated," if about.finished else "training goes on",
            about.epoch,
        )
        if fit.order is None and not over and not _has_state(fit.arguments["x"]):
            warnings.warn(
                f"{type(fit.arguments['x']).__name__} decides the order of its rows "
                "itself, and no checkpoint knows it: the epochs to come see the rows "
                "as this data gives them now.",
                UserWarning,
                stacklevel=2,
            )

    def _bring_back(self, state: dict[str, Any]) -> None:
        assert self._fit is not None
        variables.write(self.model, state["variables"])
        accepted.keep(self._kept)
        callback_states.write(self._fit.callbacks, state["callbacks"])
        history = self._history()
        history.epoch, history.history = state["epochs"], state["history"]
        self.model.moving_coefficients.clear()
        self.model.moving_coefficients.update(state["moving coefficients"])
        if state["data"] is not None:
            self._fit.arguments["x"].set_state(state["data"])
        generators.write(state["generators"])

    def _history(self) -> keras.callbacks.History:
        assert self._fit is not None
        kind = keras.callbacks.History
        return next(one for one in self._fit.callbacks if isinstance(one, kind))

    # --- while training ------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Go on in the middle of an epoch, where that is where it was interrupted."""
        assert self._fit is not None
        self._epoch = epoch
        order = self._fit.order
        if order is not None:
            order.pause = self._pause
        if self._inside is None or self._found is None:
            return
        # Other callbacks, and the metrics, have begun the epoch from its start.
        self._bring_back(own_of(self._found.state))
        self._fit.go_on(self._inside["order"], self._inside["first"])
        self._inside = None

    def _pause(self, step: int) -> int:
        """Return the step of the epoch before which a block of steps must stop."""
        begin = self._steps(self._epoch)
        due, end = self._due.next(begin + step), self._steps(self._epoch + 1)
        return (end if due is None else min(due, end)) - begin

    def _after_step(self, batch: int, logs: Logs = None) -> None:
        """Write a checkpoint in the middle of an epoch, where one is due.

        Raises:
            OSError: if one cannot be written, as on a full disk. The older ones stay.
        """
        self._beside.check()
        begin = self._steps(self._epoch)
        step = begin + batch + 1
        # The last step is followed by the end of the epoch; so is a stop.
        if step >= self._steps(self._epoch + 1) or self.model.stop_training:
            return
        due = self._due.at(step)
        if due or (self._leaving and process_count() == 1):
            self._write(self._epoch, step, inside=True)
            if agree_to_leave(self._leaving):
                self._stop_here()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a checkpoint, where one is due.

        Raises:
            OSError: if it cannot be written, as on a full disk. The older ones stay.
        """
        step = self._steps(epoch + 1)
        leaving = agree_to_leave(self._leaving)
        if leaving or self._due.at_epoch_end(step):
            self._write(epoch + 1, step)
            if leaving:
                self._stop_here()

    def on_train_end(self, logs: Logs = None) -> None:
        """Write the last checkpoint: what the `fit` leaves.

        Raises:
            OSError: if it cannot be written, as on a full disk. The older ones stay.
        """
        if self._found is not None and self._found.about.finished:
            # Other callbacks, and averages of weights, have had their end again.
            self._bring_back(own_of(self._found.state))
            return
        done = self._history().epoch
        epochs = done[-1] + 1 if done else 0
        self._write(epochs, self._steps(epochs), finished=True)
        self._beside.wait()

    def _write(
        self, epochs: int, step: int, *, inside: bool = False, finished: bool = False
    ) -> None:
        """Write a checkpoint.

        Args:
            epochs: that are finished.
            step: training steps since the first epoch.
            inside: whether this is in the middle of an epoch.
            finished: whether the `fit` is.
        """
        assert self._fit is not None
        if self._held:
            return
        # What is being written is still read, and the next copy takes its memory.
        self._beside.wait()
        fit, history = self._fit, self._history()
        data = fit.arguments["x"]
        state = {
            "variables": variables.read(self.model, metrics=inside),
            "callbacks": callback_states.read(fit.callbacks),
            "epochs": list(history.epoch),
            "history": {key: list(value) for key, value in history.history.items()},
            "moving coefficients": sorted(self.model.moving_coefficients),
            "generators": generators.read(),
            "stopped": bool(self.model.stop_training),
            "rows": None,
            "data": data.get_state() if _has_state(data) else None,
        }
        if inside and fit.order is not None:
            first = step - self._steps(epochs)
            state["rows"] = {"order": fit.order.present, "first": first}
        about = About(step, epochs, finished, self._fingerprint, versions())
        state = with_all(state)
        self._due.begin(step)
        if is_main():
            self._copied = copied = packed(state, self._copied)
            self._beside.start(lambda: self._folder.write(about, copied))

    def _steps(self, epochs: int) -> int:
        """Return the training steps of so many epochs; of unknown data, the epochs."""
        if self._fit is not None and self._fit.order is not None:
            return epochs * self._fit.order.steps
        return epochs * int((self.params or {}).get("steps") or 1)


def _has_state(data: object) -> bool:
    """Return whether data other than arrays knows its place, and can be told it."""
    return hasattr(data, "get_state") and hasattr(data, "set_state")
