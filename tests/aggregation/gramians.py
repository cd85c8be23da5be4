"""Random gradients, and running an aggregator on their Gramians as training would."""

from __future__ import annotations

import functools

import keras
import numpy as np

SIZES = range(2, 9)
EACH = 6
"""Per kind and size: five kinds and seven sizes make 210."""


def full(rng, k):
    return rng.normal(size=(k, k + 2))


def square(rng, k):
    """As many numbers as gradients; not nearly dependent, where the rank is unclear."""
    while True:
        found = rng.normal(size=(k, k))
        values = np.linalg.svd(found, compute_uv=False)
        if values[-1] > 0.03 * values[0]:
            return found


def deficient(rng, k):
    return rng.normal(size=(k, rng.integers(1, k)))


def short_of_one(rng, k):
    """Dependent, but no two of them."""
    return rng.normal(size=(k, max(2, k - 1)))


def scaled(rng, k):
    """All lengths times 1e-6 .. 1e6."""
    made = (full, square, deficient)[rng.integers(3)]
    return made(rng, k) * 10.0 ** rng.uniform(-6, 6)


def uneven(rng, k):
    """Each length times 1e-3 .. 1e3, so that the Gramian spans 1e-6 .. 1e6."""
    return square(rng, k) * 10.0 ** rng.uniform(-3, 3, size=(k, 1))


def uneven_deficient(rng, k):
    return deficient(rng, k) * 10.0 ** rng.uniform(-3, 3, size=(k, 1))


EVEN = (full, square, deficient, scaled, scaled)
INDEPENDENT = (full, square, uneven, full, uneven)
ALL = (full, square, deficient, scaled, uneven, uneven_deficient)


@functools.cache
def drawn(kinds):
    """Return 210 or more matrices of gradients, (K, n), by K."""
    rng = np.random.default_rng(20)
    return {k: [kind(rng, k) for kind in kinds for _ in range(EACH)] for k in SIZES}


def as_float32(gradients):
    return (gradients @ gradients.T).astype("float32")


def compiled(function):
    """Return a function of tensors as one program, as in training."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor), "float64")


def orders_of(rng, k):
    return np.stack([rng.permutation(k) for _ in range(k)]).astype("int32")
