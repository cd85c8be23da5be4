"""What a study's runs were trained on and with, in few numbers.

A study goes on where it was interrupted, and with more seeds or arms. The runs are one
study only if data and networks stayed the same: their fingerprints are kept beside the
runs, and another one is refused.

Data is compared to the byte, seed by seed. Networks are built with one fixed seed and
compared in their layers, and in their initial weights to 1e-5 of their size: other
devices may round the last digit differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from coloss.digest import digest, layers_digest
from coloss.joint.keras_internals import set_random_seed, without_tensorflow
from coloss.study.arms import Arm
from coloss.study.trial import Rows

_SEED, _NUMBERS = 0, 4


def fingerprints(
    arms: Mapping[str, Arm],
    rows: Mapping[int, Rows],
    seeds: Sequence[int],
    parts: Iterable[str],
) -> dict[str, Any]:
    """Return the fingerprints of all data and networks, by a name for each.

    Args:
        arms: of the study.
        rows: their data, by the id of its source.
        seeds: of the runs.
        parts: of the rows that are read; no other one is looked at.
    """
    found: dict[str, Any] = {}
    sources: dict[int, None] = {}
    builds: list[Callable[[], Any]] = []
    for arm in arms.values():
        if id(arm.data) not in sources:
            what = f"the data of arm {arm.name!r}" if sources else "the data"
            sources[id(arm.data)] = None
            found |= _data(what, rows[id(arm.data)], seeds, tuple(parts))
        if arm.build not in builds:
            of = f" of arm {arm.name!r}" if builds else ""
            builds.append(arm.build)
            x = rows[id(arm.data)](seeds[0]).train[0]
            found |= _networks(of, arm.build, x)
    return found


def _data(
    what: str, rows: Rows, seeds: Sequence[int], parts: Sequence[str]
) -> dict[str, Any]:
    if rows.same:
        return {what: digest([getattr(rows(seeds[0]), part) for part in parts])}
    return {
        f"{what}, seed {seed}": digest([getattr(rows(seed), part) for part in parts])
        for seed in seeds
    }


def _networks(
    of: str, build: Callable[[], Any], x: Mapping[str, Any]
) -> dict[str, Any]:
    set_random_seed(_SEED)
    joint = build()
    if not joint.built:
        joint._symbolic_outputs({key: x[key] for key in joint.assembly.keys})
    with without_tensorflow():
        return {
            f"the network {name!r}{of}": {
                "layers": layers_digest(member),
                "parameters": int(sum(np.prod(v.shape) for v in member.variables)),
                "initial weights": _sketch(member),
            }
            for name, member in joint.members.items()
        }


def _sketch(member: keras.Model) -> list[float]:
    """Return the size of all weights, and projections on a few fixed directions."""
    flat = [
        keras.ops.convert_to_numpy(variable).astype("float64").ravel()
        for variable in member.weights
    ]
    values = np.concatenate([*flat, np.zeros(1)])
    size = float(np.linalg.norm(values))
    signs = np.random.default_rng(_SEED)
    found = [size]
    for _ in range(_NUMBERS):
        sign = signs.integers(0, 2, len(values)) * 2.0 - 1.0
        found.append(float(sign @ values) / (size or 1.0))
    return found
