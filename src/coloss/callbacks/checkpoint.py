"""A training that cannot be lost: the same script, started again, goes on."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import keras

from coloss.checking import COUNT
from coloss.checkpoint import callback_states, fingerprint, generators, variables
from coloss.checkpoint.files import About, CheckpointError
from coloss.checkpoint.folder import CheckpointFolder, Found
from coloss.joint.epochs.resumable import PresentFit
from coloss.joint.keras_internals import start_at
from coloss.typing import FilePath

LOG = logging.getLogger("coloss")

Logs = dict[str, Any] | None


class Checkpoint(keras.callbacks.Callback):
    """Keeps all that a `fit` of a joint model needs, so that a kill costs one epoch.

    The same script, started again, goes on where the last checkpoint was written: with
    the same bits as without the interruption, on the same machine, backend and
    versions. A finished `fit` is not repeated: its weights and history come back.

    A checkpoint holds members, projectors, coefficients, states of weighting,
    aggregator and gates, optimizers, history, the states of other callbacks, and every
    random generator of Keras, Python, NumPy and PyTorch. It is written beside the
    others, to the disk, and takes its name in one move; every file has a SHA-256. A
    damaged one is passed over with a warning that names it.

    Args:
        folder: of the checkpoints; one for each `fit`.
        every: "epoch": at the end of each epoch.
        keep: how many checkpoints stay.
        resume: whether to go on from what is in the folder; False: start anew, in an
            empty folder only.

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
        every: str = "epoch",
        keep: int = 2,
        resume: bool = True,
    ) -> None:
        """Check the arguments; nothing is read or written yet."""
        super().__init__()
        if every != "epoch":
            raise ValueError(f'`every` must be "epoch"; found {every!r}.')
        self.every = every
        self.resume = bool(resume)
        self._folder = CheckpointFolder(
            Path(folder), COUNT.integer("`keep` of Checkpoint", keep)
        )
        self._fit: PresentFit | None = None
        self._found: Found | None = None
        self._fingerprint: dict[str, str] = {}

    # --- before training -----------------------------------------------------------

    def take_fit(self, fit: PresentFit) -> None:
        """Find the newest checkpoint, before training; `JointModel.fit` calls this.

        Args:
            fit: what is about to begin.

        Raises:
            CheckpointError: if there are checkpoints, and all of them are damaged, or
                the newest is one of another training.
            FileExistsError: with `resume=False`, if the folder is not empty.
        """
        self._fit, self._found = fit, None
        self._fingerprint = fingerprint.fingerprint(fit)
        if not self.resume and not self._folder.is_empty:
            raise FileExistsError(
                f"resume=False starts anew in an empty folder only, and "
                f"{self._folder.path} is not empty. Give another folder, or resume."
            )
        self._folder.clear_partial()
        self._found = self._folder.newest()
        if self._found is not None:
            self._check(self._found)

    def _check(self, found: Found) -> None:
        differs = fingerprint.difference(found.about.fingerprint, self._fingerprint)
        if differs:
            raise CheckpointError(
                f"{found.path} is a checkpoint of another training. What differs: "
                f"{differs}. Train as before to go on, or give another folder."
            )
        other = fingerprint.difference(found.about.versions, fingerprint.versions())
        if other:
            warnings.warn(
                f"{found.path} was written elsewhere or by other versions: {other}. "
                "Training goes on, but the last bits may be others.",
                UserWarning,
                stacklevel=2,
            )

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
        if self._found is None:
            return
        about, state = self._found.about, self._found.state
        self._bring_back(state)
        over = about.finished or state["stopped"]
        start_at(self.model, fit.arguments["epochs"] if over else about.epoch)
        LOG.info(
            "%s: %s after %d epochs",
            self._found.path,
            "finished, and not repeated," if about.finished else "training goes on",
            about.epoch,
        )
        if fit.order is None and not over:
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
        callback_states.write(self._fit.callbacks, state["callbacks"])
        history = self._history()
        history.epoch, history.history = state["epochs"], state["history"]
        self.model.moving_coefficients.clear()
        self.model.moving_coefficients.update(state["moving coefficients"])
        generators.write(state["generators"])

    def _history(self) -> keras.callbacks.History:
        assert self._fit is not None
        kind = keras.callbacks.History
        return next(one for one in self._fit.callbacks if isinstance(one, kind))

    # --- while training ------------------------------------------------------------

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: if it cannot be written, as on a full disk. The older ones stay.
        """
        self._write(epoch + 1, finished=False)

    def on_train_end(self, logs: Logs = None) -> None:
        """Write the last checkpoint: what the `fit` leaves.

        Raises:
            OSError: if it cannot be written, as on a full disk. The older ones stay.
        """
        if self._found is not None and self._found.about.finished:
            # Other callbacks, and averages of weights, have had their end again.
            self._bring_back(self._found.state)
            return
        done = self._history().epoch
        self._write(done[-1] + 1 if done else 0, finished=True)

    def _write(self, epochs: int, *, finished: bool) -> None:
        assert self._fit is not None
        history = self._history()
        state = {
            "variables": variables.read(self.model, metrics=False),
            "callbacks": callback_states.read(self._fit.callbacks),
            "epochs": list(history.epoch),
            "history": {key: list(value) for key, value in history.history.items()},
            "moving coefficients": sorted(self.model.moving_coefficients),
            "generators": generators.read(),
            "stopped": bool(self.model.stop_training),
        }
        about = About(
            step=self._steps(epochs),
            epoch=epochs,
            finished=finished,
            fingerprint=self._fingerprint,
            versions=fingerprint.versions(),
        )
        self._folder.write(about, state)

    def _steps(self, epochs: int) -> int:
        """Return the training steps of so many epochs; of unknown data, the epochs."""
        return epochs * int((self.params or {}).get("steps") or 1)
