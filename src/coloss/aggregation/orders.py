"""In which order each gradient meets the others, where that is left to chance."""

from __future__ import annotations

import keras
from keras import ops

from coloss.typing import Seed, Tensor


def draw_orders(k: int, seed: Seed) -> Tensor:
    """Draw one order of all summands for each summand.

    Args:
        k: number of summands.
        seed: an integer, or a `keras.random.SeedGenerator`.

    Returns:
        (K, K) int32, each row a permutation of 0 .. K - 1.
    """
    chance = keras.random.uniform((k, k), dtype="float32", seed=seed)
    return ops.cast(ops.argsort(chance, axis=1), "int32")
