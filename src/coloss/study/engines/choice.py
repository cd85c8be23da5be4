"""Which engine computes a study."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from typing import Any

import keras

from coloss.names import unknown
from coloss.study.settings import Engine

ENGINES = {
    "jax": ("chunk", "form"),
    "sequential": (),
    "ray": ("num_cpus", "num_gpus", "workers", "retries", "address"),
}
"""Each engine's options."""


def choose(name: str, options: Mapping[str, Any]) -> Engine:
    """Return an engine by name.

    Args:
        name: "jax", "sequential", "ray" or "auto".
        options: of that engine.

    Raises:
        ValueError: for an unknown engine or option, or one that the backend cannot
            run.
        ImportError: if the engine's package is not installed.
    """
    backend = keras.backend.backend()
    if name == "auto" and backend == "jax" and not options:
        from coloss.study.engines.vectorized import fitting

        return fitting
    if name == "auto":
        name = "jax" if backend == "jax" else "sequential"
    if name not in ENGINES:
        raise ValueError(f"`engine`: {unknown('engine', name, ('auto', *ENGINES))}.")
    for option in options:
        if option not in ENGINES[name]:
            raise ValueError(
                f"engine {name!r} has {unknown('option', option, ENGINES[name])}."
            )
    if name == "jax" and backend != "jax":
        raise ValueError(
            f'engine "jax" needs the JAX backend; this is {backend}. Set '
            'KERAS_BACKEND=jax, or take engine="sequential".'
        )
    if name == "jax":
        from coloss.study.engines.vectorized import vectorized

        return functools.partial(vectorized, **options)
    if name == "ray":
        if importlib.util.find_spec("ray") is None:
            raise ImportError(
                'engine "ray" needs Ray: pip install "coloss[ray]". Without it, take '
                'engine="sequential".'
            )
        from coloss.study.engines.ray import on_ray

        return functools.partial(on_ray, **options)
    from coloss.study.engines.sequential import sequential

    return sequential
