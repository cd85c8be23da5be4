"""The named coefficients of an objective, as variables that can move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias, TypeGuard

import keras
import numpy as np

from coloss.names import nearest
from coloss.typing import Store, Tensor
from coloss.weighting.schedules import value_at
from coloss.weighting.trainable import Trainable

Coefficient: TypeAlias = float | Callable[[int], float] | Trainable
"""What `compile(coefficients=)` takes; a callable is a schedule, of the epoch."""


class Positive:
    """A trained coefficient: its variable holds v, its value is softplus(v).

    Args:
        raw: the trained variable.
    """

    def __init__(self, raw: keras.Variable) -> None:
        """Store the variable."""
        self.raw = raw

    @property
    def value(self) -> Tensor:
        """The value, a scalar tensor above 0."""
        return keras.ops.softplus(keras.ops.convert_to_tensor(self.raw))

    def numpy(self) -> np.ndarray:
        """Return the value as a NumPy array."""
        return keras.ops.convert_to_numpy(self.value)

    def __float__(self) -> float:
        """Return the value."""
        return float(self.numpy())

    def assign(self, value: float) -> None:
        """Set the value, a number above 0.

        Raises:
            ValueError: for another one.
        """
        self.raw.assign(Trainable(float(value)).raw)


class ByName(dict[str, "keras.Variable | Positive"]):
    """Variables by name; an unknown name is told with the nearest one."""

    def __missing__(self, name: str) -> keras.Variable:
        """Refuse a name that no coefficient has."""
        raise KeyError(f"no coefficient {name!r}{nearest(name, self)}")


def starting_values(values: Mapping[str, Coefficient]) -> dict[str, float]:
    """Return the numbers at epoch 0.

    Args:
        values: number or schedule (a callable of the epoch) by name.

    Raises:
        TypeError: if a value is neither a number nor a callable.
        ValueError: if a number is not finite.
    """
    return {
        name: value.value if is_trained(value) else value_at(value, 0, name)
        for name, value in values.items()
    }


def is_trained(value: object) -> TypeGuard[Trainable]:
    """Return whether a coefficient is `Trainable`."""
    return isinstance(value, Trainable)


class Coefficients(keras.layers.Layer):
    """Scalar variables by name. A change takes effect without retracing.

    A part of the joint model, so that its variables are saved and carried by every
    backend's train step.

    Attributes:
        schedules: functions of the epoch, by name.
        started_at: the values that `compile` was given, those at epoch 0 of schedules.
    """

    def __init__(self) -> None:
        """Start without any coefficient."""
        super().__init__(name="coefficients")
        self._names: list[str] = []
        self._trained: list[str] = []
        self.schedules: dict[str, Callable[[int], float]] = {}
        self.started_at: Mapping[str, float] = MappingProxyType({})
        self.built = True

    def reset(self, values: Mapping[str, Coefficient]) -> None:
        """Replace all coefficients.

        Args:
            values: number, schedule (a callable of the epoch), or `Trainable` by name.

        Raises:
            TypeError: if a value is none of these.
        """
        numbers = starting_values(values)
        self.started_at = MappingProxyType(numbers)
        self.schedules = {n: value for n, value in values.items() if callable(value)}
        for variable in [*self._non_trainable_variables, *self._trainable_variables]:
            self._untrack_variable(variable)
        self._trained = [name for name in values if is_trained(values[name])]
        self._names = [name for name in numbers if name not in self._trained]
        for name, value in numbers.items():
            trained = name in self._trained
            given = values[name]
            start = given.raw if is_trained(given) else value
            self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(start),
                dtype="float32",
                trainable=trained,
                name=name,
            )

    @property
    def by_name(self) -> ByName:
        """The variables by name; of a trained one, what sets and gets its value."""
        plain = zip(self._names, self._non_trainable_variables, strict=True)
        raw = zip(self._trained, self._trainable_variables, strict=True)
        return ByName([*plain, *((name, Positive(v)) for name, v in raw)])

    @property
    def trained(self) -> tuple[str, ...]:
        """The names of the trained coefficients."""
        return tuple(self._trained)

    def numbers(self) -> dict[str, float]:
        """Return the present values."""
        return {
            name: float(keras.ops.convert_to_numpy(variable.value))
            for name, variable in self.by_name.items()
        }

    def move(self, epoch: int) -> dict[str, float]:
        """Set every scheduled coefficient to its value at an epoch.

        Args:
            epoch: from 0.

        Returns:
            The coefficients that have a schedule, with their values.

        Raises:
            TypeError: if a schedule returns no number.
            ValueError: if it returns a number that is not finite.
        """
        moved = {}
        for name, schedule in self.schedules.items():
            moved[name] = value_at(schedule, epoch, name)
            self.by_name[name].assign(moved[name])
        return moved

    def save_own_variables(self, store: Store) -> None:
        """Save by name, so that no two coefficients can be swapped."""
        for name, value in self.numbers().items():
            store[name] = value
        for name in self._trained:
            raw = self.by_name[name].raw
            store[f"{name}.raw"] = keras.ops.convert_to_numpy(raw.value)

    def load_own_variables(self, store: Store) -> None:
        """Load by name; a file of a model without coefficients changes nothing."""
        for name, variable in self.by_name.items():
            if f"{name}.raw" in store and isinstance(variable, Positive):
                variable.raw.assign(store[f"{name}.raw"][()])
            elif name in store:
                variable.assign(float(store[name][()]))
