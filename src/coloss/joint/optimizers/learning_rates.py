"""Learning rates that cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import optimizers

# Their step is about as long as the rate, whatever the gradient: at 1 every weight
# moves by about 1 in each step, where weights are seldom larger.
_NORMALIZED = (
    optimizers.Adam,
    optimizers.Adamax,
    optimizers.Nadam,
    optimizers.Lion,
    optimizers.Muon,
    optimizers.RMSprop,
)
_MOST_NORMALIZED = 1.0
# The others' step follows the gradient, which may be small.
_MOST = 1000.0


def check_learning_rates(optimizer: Any) -> None:
    """Refuse rates that are no rates.

    Args:
        optimizer: of the joint model; None passes.

    Raises:
        ValueError: if a rate is negative, NaN or infinite.
    """
    for whose, one in _inner(optimizer).items():
        rate = _rate(one)
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(
                f"the learning rate of {whose} ({type(one).__name__}) is {rate:g}; "
                "expected a finite number, 0 or more."
            )


def warn_of_learning_rates(optimizer: Any) -> list[str]:
    """Return a sentence for each learning rate out of all proportion.

    Args:
        optimizer: of the joint model; None passes.
    """
    found = []
    for whose, one in _inner(optimizer).items():
        rate, normalized = _rate(one), isinstance(one, _NORMALIZED)
        if rate < (_MOST_NORMALIZED if normalized else _MOST):
            continue
        sentence = f"the learning rate of {whose} ({type(one).__name__}) is {rate:g}"
        if normalized:
            sentence += ": each step moves every weight by about that much"
        found.append(f"{sentence}. Usual are 0.0001 to 0.1.")
    return found


def _inner(optimizer: Any) -> dict[str, Any]:
    """Return the optimizers by whose they are, for messages."""
    if isinstance(optimizer, optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    if optimizer is None:
        return {}
    groups = getattr(optimizer, "groups", None)
    if isinstance(groups, Mapping):
        whose = {"*": "all members" if len(groups) == 1 else "the other members"}
        return {whose.get(name, repr(name)): one for name, one in groups.items()}
    if isinstance(optimizer, optimizers.MultiOptimizer):
        return {}
    return {"all members": optimizer}


def _rate(optimizer: Any) -> float:
    """Return the rate of the next step; of a warm-up the rate that it ends at."""
    schedule = getattr(optimizer, "_learning_rate", None)
    target = getattr(schedule, "warmup_target", None)
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    return rate if target is None else max(rate, float(target))
