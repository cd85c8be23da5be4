"""Modality dropout: whole inputs of a row are left out while training."""

from __future__ import annotations

import keras
from keras import ops

from coloss.typing import Store, Tensor


class InputDropout(keras.layers.Layer):
    """Draws which inputs of a row stay; its random state is saved with the model."""

    def __init__(self) -> None:
        """Take a seed, as Keras's layers do: `keras.utils.set_random_seed` sets it."""
        super().__init__(name="input_dropout")
        self.seeds = keras.random.SeedGenerator()
        self.built = True

    def stays(self, present: Tensor, rate: float) -> Tensor:
        """Return which inputs are left in.

        Each input that is there is left out with probability `rate`, but for the one
        with the largest draw of its row: of K that are there, an input is left out of
        rate - rate^K / K of the rows.

        Args:
            present: (rows, inputs) bool; which are there.
            rate: from 0 up to, not including, 1.

        Returns:
            (rows, inputs) bool, at most those of `present`, and one of them at least
            where there is one.
        """
        draws = keras.random.uniform(ops.shape(present), seed=self.seeds)
        draws = ops.where(present, draws, -ops.ones_like(draws))
        largest = draws == ops.max(draws, axis=1, keepdims=True)
        return ops.logical_and(present, ops.logical_or(draws >= rate, largest))

    def save_own_variables(self, store: Store) -> None:
        """Save the random state, which Keras leaves out."""
        store["seed"] = ops.convert_to_numpy(self.seeds.state)

    def load_own_variables(self, store: Store) -> None:
        """Go on with the random numbers where the file left off."""
        self.seeds.state.assign(store["seed"])
