"""What several devices or processes cannot train, in sentences, before training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import keras


def shards() -> int:
    """Return into how many equal parts this process must be able to cut a batch."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh, axis = distribution.device_mesh, distribution.batch_dim_name
    if axis not in mesh.axis_names:
        return 1
    size = int(mesh.shape[list(mesh.axis_names).index(axis)])
    return max(1, size // int(distribution.num_processes))


def check_batches(rows: int, size: int | None, what: str = "") -> None:
    """Refuse batches that cannot be cut into as many equal parts as there are devices.

    Args:
        rows: of the data.
        size: of a batch; None: all rows are one.
        what: prefix of the sentence, such as "validation data: ".

    Raises:
        ValueError: naming the nearest numbers that can be.
    """
    parts = shards()
    if size is not None and size % parts:
        near = [n for n in (size - size % parts, size + -size % parts) if n]
        raise ValueError(
            f"{what}a batch of {size} rows cannot be divided among {parts} devices; "
            f"`batch_size` must be a multiple of {parts}, such as "
            f"{' or '.join(map(str, near))}."
        )
    if rows % parts:
        raise ValueError(
            f"{what}{rows} rows cannot be divided among {parts} devices: the last "
            f"batch would be uneven. Leave out {rows % parts} of them, or repeat "
            f"{-rows % parts}."
        )


def check_placed(members: Mapping[str, keras.Model]) -> None:
    """Refuse members that were built before the present distribution was set.

    Raises:
        ValueError: naming the member.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return
    wanted = distribution.device_mesh.devices.size
    for name, member in members.items():
        for variable in member.variables:
            found = getattr(getattr(variable.value, "sharding", None), "device_set", ())
            if found and len(found) != wanted:
                raise ValueError(
                    f"{name!r} was built for {len(found)} of the {wanted} devices "
                    f"({variable.path}): set the keras.distribution before the "
                    "members are made, or make them and the JointModel inside "
                    "`with distribution.scope():`."
                )


def check_ranks(backend: str) -> None:
    """Refuse to train in one of several processes where Keras cannot join them.

    Args:
        backend: of Keras.

    Raises:
        RuntimeError: with the way out.
    """
    if backend == "torch":
        ranks = os.environ.get("WORLD_SIZE", "1")
        if ranks.isdigit() and int(ranks) > 1:
            _refuse(
                f"this process is rank {os.environ.get('RANK', '?')} of {ranks} (RANK, "
                "WORLD_SIZE), and Keras on PyTorch has no `fit` for several"
            )
    if backend == "tensorflow":
        workers = _workers(os.environ.get("TF_CONFIG", ""))
        if workers > 1:
            _refuse(
                f"TF_CONFIG names {workers} workers, and Keras 3 on TensorFlow has no "
                "`fit` for several (MirroredStrategy, on one machine, works)"
            )


def _workers(config: str) -> int:
    """Return how many workers `TF_CONFIG` names."""
    try:
        cluster = json.loads(config).get("cluster", {})
    except (ValueError, AttributeError):
        return 1
    roles = ("chief", "worker")
    return sum(len(cluster.get(role, ())) for role in roles)


def _refuse(why: str) -> None:
    raise RuntimeError(
        f"{why}: each process would train networks of its own, which differ more with "
        "every step. Train on one device; or start one process on KERAS_BACKEND=jax "
        "for each machine, with coloss.distributed.initialize()."
    )
