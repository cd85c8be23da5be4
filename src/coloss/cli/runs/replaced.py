"""What `--force` replaces is kept until there is something in its place.

The old run moves into a folder inside the new one's, in moves that take no room on the
disk, and goes once the new one has a checkpoint, or its networks. Where it does not
come so far, the old one comes back: at once after an error, after a kill with the next
command that would write there. Its mark moves in last and out first: so it can be told
how far a kill let things come.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import keras

from coloss.owned_folder import MARK, OLD, OwnedFolder
from coloss.run_folder import MODEL, RESUME, STORE
from coloss.study.store import finished_runs


def set_aside(folder: Path) -> None:
    """Move an old run aside, and mark the folder for a new one.

    Args:
        folder: claimed: it holds what coloss wrote, or nothing.
    """
    owned = OwnedFolder(folder)
    if not owned.marked or owned.empty:
        owned.clear()
        return
    aside = folder / OLD
    aside.mkdir()
    for one in sorted(folder.iterdir(), key=lambda one: one.name == MARK):
        if one != aside:
            os.replace(one, aside / one.name)
    owned.clear()


def recover(folder: Path) -> None:
    """Bring back an old run that a kill left aside; nothing happens without one.

    Args:
        folder: of a run.
    """
    aside = folder / OLD
    if aside.is_symlink() or not aside.is_dir():
        return
    if (aside / MARK).exists():
        if has_begun(folder):
            drop(folder)
            return
        _remove(folder)  # On a full disk nothing can be written.
        os.replace(aside / MARK, folder / MARK)
    for one in list(aside.iterdir()):
        os.replace(one, folder / one.name)
    aside.rmdir()


def drop(folder: Path) -> None:
    """Delete the old run; what somebody else put there stays."""
    aside = folder / OLD
    if not aside.is_dir():
        return
    _remove(aside)
    if [one.name for one in aside.iterdir()] == [MARK]:
        (aside / MARK).unlink()
        aside.rmdir()


def _remove(folder: Path) -> None:
    """Delete the files that coloss wrote, and the folders that are empty."""
    OwnedFolder(folder).remove()
    for root, _, _ in os.walk(folder, topdown=False):
        if not {OLD, MARK}.intersection(os.listdir(root)):
            with suppress(OSError):  # Something of somebody else's is in it.
                os.rmdir(root)


def has_begun(folder: Path) -> bool:
    """Return whether a new run has what nobody would want to lose."""
    checkpoints, store = (folder / RESUME).glob("step-*"), folder / STORE
    return any(checkpoints) or (folder / MODEL).exists() or finished_runs(store) > 0


class Replaced(keras.callbacks.Callback):
    """Deletes the old run once the new one has a checkpoint.

    Args:
        folder: of the run.
    """

    every_step = False

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet."""
        super().__init__()
        self._folder = folder

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Look whether one is on the disk."""
        if (self._folder / OLD).exists() and has_begun(self._folder):
            drop(self._folder)
