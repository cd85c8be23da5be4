"""`save` of the networks; the old file stays until the new one is whole.

Keras opens the file that is there and writes over it: a full disk, or a kill, leaves
neither the old network nor the new one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from coloss.distributed import is_main
from coloss.joint.alone import alone
from coloss.joint.keras_internals import may_overwrite, without_tensorflow
from coloss.joint.saving.archive import seal
from coloss.typing import FilePath
from coloss.writing import whole

_FILES = (".keras", ".h5", ".hdf5")
_WEIGHTS = (".h5", ".json")


def save_whole(
    save: Callable[..., None],
    filepath: FilePath,
    overwrite: bool = True,
    zipped: bool | None = None,
    **options: object,
) -> None:
    """Save a network as Keras does, beside the file that is there, and move it.

    Where several processes train it, process 0 writes, and the others need not call.

    Args:
        save: `save` of the network.
        filepath: of a local file; anything else is left to Keras.
        overwrite: whether to replace a file without asking.
        zipped: see `keras.Model.save`.
        **options: passed on.
    """
    with alone(_owner(save)):
        if is_main():
            _save(save, filepath, overwrite, zipped, options)


def _save(
    save: Callable[..., None],
    filepath: FilePath,
    overwrite: bool,
    zipped: bool | None,
    options: Mapping[str, object],
) -> None:
    if zipped is False or not _is_local(filepath, _FILES):
        save(filepath, overwrite=overwrite, zipped=zipped, **options)
        return
    if not overwrite and Path(filepath).exists() and not may_overwrite(filepath):
        return
    with whole(filepath) as partial, without_tensorflow():
        save(partial, zipped=zipped, **options)
        if partial.suffix == ".keras":
            seal(partial)


def save_weights_whole(
    save: Callable[..., None],
    filepath: FilePath,
    overwrite: bool = True,
    **options: object,
) -> None:
    """Save weights as Keras does, beside the file that is there, and move them.

    Args:
        save: `save_weights` of the network.
        filepath: of a local file; anything else is left to Keras.
        overwrite: whether to replace a file without asking.
        **options: passed on.
    """
    with alone(_owner(save)):
        if is_main():
            _save_weights(save, filepath, overwrite, options)


def _save_weights(
    save: Callable[..., None],
    filepath: FilePath,
    overwrite: bool,
    options: Mapping[str, object],
) -> None:
    if not _is_local(filepath, _WEIGHTS):
        save(filepath, overwrite=overwrite, **options)
        return
    if not overwrite and Path(filepath).exists() and not may_overwrite(filepath):
        return
    with whole(filepath) as partial:
        save(partial, **options)


def _owner(save: Callable[..., None]) -> keras.Model:
    """Return the network whose method this is."""
    found: keras.Model = getattr(save, "__self__", None)
    return found


def _is_local(filepath: FilePath, endings: tuple[str, ...]) -> bool:
    local = isinstance(filepath, str | os.PathLike) and "://" not in str(filepath)
    return local and Path(filepath).suffix in endings


def saving_whole(member: keras.Model) -> keras.Model:
    """Return a member that writes its files whole; else it is as it was.

    The names are set on the instance: its class, with a `save` of the user's own
    perhaps, stays what it is.
    """
    for name, door in (("save", save_whole), ("save_weights", save_weights_whole)):
        if name not in vars(member):
            own = getattr(member, name)
            kept = functools.update_wrapper(functools.partial(door, own), own)
            # Not through Keras, which keeps lists of what is set on a layer.
            object.__setattr__(member, name, kept)
    return member
