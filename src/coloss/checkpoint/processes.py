"""What each of several processes has for itself, in the one checkpoint of all."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from coloss.checkpoint.files import packed
from coloss.checkpoint.pace import Every
from coloss.checkpoint.tree import unpack
from coloss.distributed import agree, gather, process_count, process_index

OWN = ("generators", "rows", "data")
"""Entries of a state that differ from process to process."""

PROCESSES = "number of processes"


def check_pace(every: Every) -> None:
    """Refuse a pace that each process would keep by a clock of its own.

    Raises:
        ValueError: for a time.
    """
    if process_count() > 1 and isinstance(every, timedelta):
        raise ValueError(
            'with several processes, `every` of Checkpoint must be "epoch" or a number '
            "of steps: their clocks would not agree on the step."
        )


def joined_fingerprint(own: Mapping[str, str]) -> dict[str, str]:
    """Return one fingerprint for all processes, their number included.

    Args:
        own: of this process, whose rows are its own.
    """
    if process_count() == 1:
        return dict(own)
    every = [told for told in gather(dict(own)) if isinstance(told, dict)]
    found = {PROCESSES: str(process_count())}
    for name in own:
        values = [str(told.get(name)) for told in every]
        alike = len(set(values)) == 1
        found[name] = values[0] if alike else " | ".join(values)
    return found


def agree_on_newest(path: Path | None, folder: Path) -> None:
    """Refuse to go on where processes see other checkpoints.

    Raises:
        ValueError: in all of them; the folder is none that they share.
    """
    name = None if path is None else path.name
    agree({f"newest checkpoint in {folder.name!r}, a folder that all can read": name})


def agree_to_leave(leaving: bool) -> bool:
    """Return whether one of the processes was asked to end."""
    return leaving if process_count() == 1 else any(gather(leaving))


def with_all(state: dict[str, object]) -> dict[str, object]:
    """Return a state that holds what each process has for itself.

    Args:
        state: of this process; all processes call this at the same step.
    """
    if process_count() == 1:
        return state
    own = packed({name: state[name] for name in OWN})
    arrays = {
        name: [one.dtype.str, list(one.shape), base64.b64encode(one.tobytes()).decode()]
        for name, one in own.arrays.items()
    }
    told = gather({"rest": own.rest, "arrays": arrays})
    return state | {"processes": [_read(one) for one in told]}


def own_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state as this process left it."""
    every = state.get("processes")
    return dict(state) if every is None else dict(state) | every[process_index()]


def _read(told: Any) -> object:
    arrays = {
        name: np.frombuffer(base64.b64decode(text), dtype).reshape(shape)
        for name, (dtype, shape, text) in told["arrays"].items()
    }
    return unpack(told["rest"], arrays)
