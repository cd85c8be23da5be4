"""Settings that a checkpoint holds, and that a person changed on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from coloss.joint.base import JointBase
from coloss.joint.optimizers.learning_rates import inner_optimizers

Settings = list[tuple[keras.Variable, np.ndarray]]
"""Variables, and the values that they had before a checkpoint was brought back."""


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    """Return the names of what differs between two fingerprints."""
    return {n for n in {*before, *now} if before.get(n) != now.get(n)}


def settings(model: JointBase, names: Iterable[str]) -> Settings:
    """Return the variables that hold settings which a person changed.

    Where coefficients are others, those that are not trained; where the optimizer is
    another, its learning rates. Schedules set theirs by themselves.

    Args:
        model: compiled, before a checkpoint is brought back.
        names: of what differs, as a fingerprint calls it.
    """
    found: list[keras.Variable] = []
    if "the coefficients" in names:
        layer = model.coefficient_layer
        found += [v for name, v in layer.by_name.items() if name not in layer.trained]
    if "compile(optimizer=)" in names:
        rates = [
            one.learning_rate for one in inner_optimizers(model.optimizer).values()
        ]
        found += [rate for rate in rates if isinstance(rate, keras.Variable)]
    return [(v, np.array(keras.ops.convert_to_numpy(v.value))) for v in found]


def keep(given: Settings) -> None:
    """Set the values that `settings` returned."""
    for variable, value in given:
        variable.assign(value)
