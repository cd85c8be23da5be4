"""Processes of JAX: how they start, and what they tell each other."""

from __future__ import annotations

import jax
import numpy as np
from jax.experimental import multihost_utils

from coloss.typing import Tensor


def start(
    coordinator: str | None, processes: int | None, process: int | None, heartbeat: int
) -> None:
    """Join the processes.

    Args:
        coordinator: "host:port" of process 0; None: found by JAX.
        processes: how many; None: found by JAX.
        process: which this is; None: found by JAX.
        heartbeat: seconds after which one without a word is lost.

    Raises:
        RuntimeError: if it was called before, or after the first computation.
    """
    # It takes SIGTERM for itself, and answers it at a call that nobody here makes.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            heartbeat_timeout_seconds=heartbeat,
        )
    except RuntimeError as error:
        if "before" in str(error) or "once" in str(error):
            raise RuntimeError(
                "coloss.distributed.initialize must be called once, and before the "
                "first computation: before members are made, seeds are set, or arrays "
                "are given to Keras."
            ) from error
        raise


def count() -> int:
    """Return how many processes there are."""
    return jax.process_count() if jax.distributed.is_initialized() else 1


def index() -> int:
    """Return which of them this is."""
    return jax.process_index() if jax.distributed.is_initialized() else 0


def of_first(number: int) -> int:
    """Return the number that process 0 gives; all processes call this."""
    if count() == 1:
        return number
    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def gather(payload: bytes) -> list[bytes]:
    """Return what each process gives, in order; all processes call this."""
    sizes = multihost_utils.process_allgather(np.int32(len(payload)))
    # Few sizes: a program is compiled for each.
    room = 256
    while room < sizes.max():
        room *= 4
    padded = np.zeros(room, "uint8")
    padded[: len(payload)] = np.frombuffer(payload, "uint8")
    rows = np.asarray(multihost_utils.process_allgather(padded))
    pairs = zip(rows.reshape(len(sizes), room), sizes, strict=True)
    return [row[:size].tobytes() for row, size in pairs]


def local(value: Tensor) -> Tensor:
    """Return an array as this process alone can read it.

    Where its parts lie in several processes, all of them call this.

    Args:
        value: an array of all processes, or of this one.
    """
    if not isinstance(value, jax.Array) or value.is_fully_addressable:
        return value
    if value.is_fully_replicated:
        return value.addressable_data(0)
    return jax.numpy.asarray(multihost_utils.process_allgather(value, tiled=True))


def is_loss_of_process(error: BaseException) -> bool:
    """Return whether an error says that another process does not answer."""
    said = str(error)
    kinds = (jax.errors.JaxRuntimeError, ValueError)
    return isinstance(error, kinds) and any(word in said for word in _SIGNS)


_SIGNS = ("Gloo", "gloo", "Connection reset", "coordination service", "NCCL")
"""In what JAX's transports say of a broken connection."""
