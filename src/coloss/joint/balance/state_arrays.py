"""Small arrays that a method remembers, as variables of the joint model."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import keras
import numpy as np
from keras import ops

from coloss.typing import Store, Tensor


class StateArrays(keras.layers.Layer):
    """Named arrays: carried by every backend's step, saved and loaded by name.

    Args:
        name: of the layer.
        arrays: starting values by name.
        trained: names of those that gradient descent moves.
    """

    def __init__(
        self, name: str, arrays: Mapping[str, np.ndarray], trained: Collection[str] = ()
    ) -> None:
        """Create one variable an array."""
        super().__init__(name=name)
        self._entries, self._trained = tuple(arrays), tuple(trained)
        for key, array in arrays.items():
            value = np.asarray(array)
            variable = self.add_weight(
                shape=value.shape,
                initializer=keras.initializers.Constant(value),
                dtype=str(value.dtype),
                trainable=key in self._trained,
                name=key,
            )
            setattr(self, f"entry_{key}", variable)
        self.built = True

    def __contains__(self, key: object) -> bool:
        """Return whether there is an array of this name."""
        return key in self._entries

    def names(self) -> tuple[str, ...]:
        """Return the names of the arrays."""
        return self._entries

    def variable(self, key: str) -> keras.Variable:
        """Return the variable that holds an array."""
        return getattr(self, f"entry_{key}")

    def read(self) -> dict[str, Tensor]:
        """Return copies of the arrays, those of a step's scope within a step."""
        # PyTorch assigns in place: what was read would change with the variable.
        return {
            key: ops.copy(ops.convert_to_tensor(self.variable(key)))
            for key in self._entries
        }

    def write(self, arrays: Mapping[str, Tensor]) -> None:
        """Assign arrays by name; those that are trained are left to the optimizer."""
        for key, value in arrays.items():
            if key not in self._trained:
                self.variable(key).assign(ops.stop_gradient(value))

    def numpy(self) -> dict[str, np.ndarray]:
        """Return copies of the arrays."""
        return {
            k: np.array(ops.convert_to_numpy(self.variable(k).value))
            for k in self._entries
        }

    def save_own_variables(self, store: Store) -> None:
        """Save by name."""
        for key, value in self.numpy().items():
            store[key] = value

    def load_own_variables(self, store: Store) -> None:
        """Load by name; what a file lacks keeps its start."""
        for key in self._entries:
            if key in store:
                self.variable(key).assign(np.asarray(store[key]))
