"""Callbacks where steps come in blocks: what they are told, and who needs each step."""

from __future__ import annotations

from typing import TypeAlias

import keras

from coloss.joint.keras_internals import profiles_batches

Logs: TypeAlias = dict[str, float] | None

NO_STEP = -1
"""The last step of a turn that was ended before its end: callbacks know of it."""

HOOKS = (
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_batch_begin",
    "on_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
_WATCHERS = (
    keras.callbacks.ProgbarLogger,
    keras.callbacks.History,
    keras.callbacks.TerminateOnNaN,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.BackupAndRestore,
    keras.callbacks.TensorBoard,
)
"""Keras's own that are called at batches, and look or count only."""


def needs_every_step(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback has to be called between any two steps.

    One that is called at batches may change what the next step does, as a
    schedule of the learning rate does. It gets blocks of steps if it says that it only
    watches: by an attribute `every_step = False`, or by Keras's `async_safe = True`.

    Args:
        callback: a Keras callback.
    """
    said = getattr(callback, "every_step", None)
    if said is not None:
        return bool(said)
    if isinstance(callback, keras.callbacks.CallbackList):
        return True
    if not any(_overrides(callback, hook) for hook in HOOKS):
        return False
    if type(callback) not in _WATCHERS:
        return not getattr(callback, "async_safe", False)
    epochs = (getattr(callback, name, "epoch") for name in ("save_freq", "update_freq"))
    return profiles_batches(callback) or any(each != "epoch" for each in epochs)


def _overrides(callback: keras.callbacks.Callback, hook: str) -> bool:
    # `LambdaCallback` sets them on the instance.
    plain = getattr(keras.callbacks.Callback, hook)
    return hook in vars(callback) or getattr(type(callback), hook, plain) is not plain


class BlockCallbacks(keras.callbacks.CallbackList):
    """Tells callbacks of blocks of steps, where Keras counts one batch an epoch.

    Callbacks are called by the thread that trains, with numbers that are there.

    Attributes:
        last_step: the last step of the turn that Keras's loop is about to end, if it
            is a turn in blocks; else None.
    """

    last_step: int | None = None

    def begin_block(self, step: int) -> None:
        """Say that a block of training steps begins.

        Args:
            step: its first step.
        """
        for callback in self.callbacks:
            callback.on_train_batch_begin(step)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Say that the last block ended."""
        if self.last_step is None:
            super().on_train_batch_end(batch, logs)
            return
        step, self.last_step = self.last_step, None
        if step == NO_STEP:
            return
        for callback in self.callbacks:
            callback.on_train_batch_end(step, logs=dict(logs or {}))

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Say that all steps of a validation ended."""
        if self.last_step is None:
            super().on_test_batch_end(batch, logs)
            return
        step, self.last_step = self.last_step, None
        for callback in self.callbacks:
            callback.on_test_batch_end(step, logs=dict(logs or {}))
