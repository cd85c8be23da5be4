"""Which process this is, of how many, and how they find each other."""

from __future__ import annotations

import os
import sys
from types import ModuleType, TracebackType
from typing import NoReturn

import keras
import numpy as np

from coloss.checking import COUNT, NumberRule
from coloss.typing import Nested, Tensor

HEARTBEAT = 10
"""Seconds without a word after which a process counts as lost. Keras's own is 100."""

ADDRESS = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"
PROCESS = "KERAS_DISTRIBUTION_PROCESS_ID"
"""What `initialize` reads where it is not told; Keras reads the same."""


def initialize(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    heartbeat: int = HEARTBEAT,
    seed: int | None = None,
) -> None:
    """Join the processes of a training; called first, and once, in each of them.

    Like `keras.distribution.initialize`, with these differences: a process that is
    lost is noticed within `heartbeat` seconds; SIGTERM ends a process, as everywhere;
    every process has the same seed; and a `keras.distribution.DataParallel` over all
    devices is set, until you set another one. What is left out is read from
    `KERAS_DISTRIBUTION_JOB_ADDRESSES`, `_NUM_PROCESSES` and `_PROCESS_ID`, or found by
    JAX, as under SLURM.

    Each process then gives `fit` its own rows, as many as the others (`share_of`), and
    a `batch_size` that counts its own rows of a step.

    Args:
        coordinator: "host:port" of process 0; the port must be free there.
        processes: how many there are.
        process: which of them this is, from 0.
        heartbeat: seconds without a word after which a process counts as lost.
        seed: of weights, dropout and the order of rows; None: process 0 draws one.

    Raises:
        RuntimeError: on a backend for which Keras joins no processes, or after the
            first computation.
        ValueError: for numbers that cannot be.

    Examples:
        >>> # coloss.distributed.initialize("10.0.0.1:1234", processes=2, process=0)
    """
    heartbeat = NumberRule(least=1, whole=True, unit="seconds").integer(
        "`heartbeat`", heartbeat
    )
    coordinator = coordinator or os.environ.get(ADDRESS)
    processes = _number(processes, PROCESSES)
    process = _number(process, PROCESS)
    if processes is not None:
        COUNT.integer("`processes`", processes)
        if process is not None and not 0 <= process < processes:
            raise ValueError(
                f"`process` must be a number from 0 to {processes - 1} with "
                f"`processes`={processes}; found {process}."
            )
    backend = _backend()
    if backend is None:
        raise RuntimeError(
            f"Keras joins processes on JAX only, and the backend is "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=jax before Keras is "
            "imported; on one machine, TensorFlow has MirroredStrategy."
        )
    backend.start(coordinator, processes, process, heartbeat)
    _end_at_once_by_errors()
    drawn = int(np.random.default_rng(seed).integers(2**31)) if seed is None else seed
    keras.utils.set_random_seed(backend.of_first(drawn))
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )


def _end_at_once_by_errors() -> None:
    """Let an error that nobody catches end this process without waiting for others.

    JAX would wait for them to come to their end, and they for this one's next step.
    """
    before = sys.excepthook

    def told(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        before(kind, error, trace)
        leave(1)

    sys.excepthook = told


def leave(code: int) -> NoReturn:
    """End this process, without waiting for the others to come to their end.

    Args:
        code: its exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def process_count() -> int:
    """Return how many processes train together; 1 without `initialize`."""
    backend = _backend()
    return 1 if backend is None else int(backend.count())


def process_index() -> int:
    """Return which of them this is, from 0."""
    backend = _backend()
    return 0 if backend is None else int(backend.index())


def is_main() -> bool:
    """Return whether this is process 0, which writes what there is one of."""
    return process_index() == 0


def share_of(arrays: Nested) -> Nested:
    """Return this process's rows: every n-th, as many in each of n processes.

    Up to n - 1 rows at the end are left out. All processes hold the same arrays.

    Args:
        arrays: (rows, ...) each, in any structure; None stays None.
    """
    count, index = process_count(), process_index()

    def own(array: object) -> object:
        if array is None:
            return None
        rows = np.asarray(array)
        return rows[: len(rows) - len(rows) % count][index::count]

    return keras.tree.map_structure(own, arrays, none_is_leaf=True)


def local(value: Tensor) -> Tensor:
    """Return a variable's value as this process alone can read it.

    Where its parts lie in several processes, all of them call this.

    Args:
        value: an array of all processes, or of this one.
    """
    backend = _backend()
    return value if backend is None else backend.local(value)


def _number(given: int | None, name: str) -> int | None:
    text = os.environ.get(name)
    if given is not None or text is None:
        return given
    if not text.isdigit():
        raise ValueError(f"{name} must be a whole number; found {text!r}.")
    return int(text)


def _backend() -> ModuleType | None:
    """Return the module that speaks with other processes, where there may be some."""
    if keras.backend.backend() != "jax":
        return None
    from coloss.distributed import jax

    return jax
