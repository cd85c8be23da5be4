"""`save` of the networks; the old file stays until the new one is whole.

Keras opens the file that is there and writes over it: a full disk, or a kill, leaves
neither the old network nor the new one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import keras

from coloss.joint.keras_internals import may_overwrite
from coloss.typing import FilePath
from coloss.writing import whole

_FILES = (".keras", ".h5", ".hdf5")


def save_whole(
    save: Callable[..., None],
    filepath: FilePath,
    overwrite: bool = True,
    zipped: bool | None = None,
    **options: object,
) -> None:
    """Save a network as Keras does, beside the file that is there, and move it.

    Args:
        save: `save` of the network.
        filepath: of a local file; anything else is left to Keras.
        overwrite: whether to replace a file without asking.
        zipped: see `keras.Model.save`.
        **options: passed on.
    """
    local = isinstance(filepath, str | os.PathLike) and "://" not in str(filepath)
    if not local or zipped is False or Path(filepath).suffix not in _FILES:
        save(filepath, overwrite=overwrite, zipped=zipped, **options)
        return
    if not overwrite and Path(filepath).exists() and not may_overwrite(filepath):
        return
    with whole(filepath) as partial:
        save(partial, zipped=zipped, **options)


def saving_whole(member: keras.Model) -> keras.Model:
    """Return a member whose `save` goes through `save_whole`; else it is as it was.

    The name is set on the instance: its class, with a `save` of the user's own perhaps,
    stays what it is.
    """
    if "save" not in vars(member):
        save = functools.partial(save_whole, member.save)
        # Not through Keras, which keeps lists of what is set on a layer.
        object.__setattr__(member, "save", functools.update_wrapper(save, member.save))
    return member
