"""Learning rates that cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras
from keras import optimizers

from coloss.doubts import rate_doubt


def check_learning_rates(optimizer: optimizers.Optimizer | None) -> None:
    """Refuse rates that are no rates.

    Args:
        optimizer: of the joint model; None passes.

    Raises:
        ValueError: if a rate is negative, NaN or infinite.
    """
    for whose, one in inner_optimizers(optimizer).items():
        rate = _rate(one)
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(
                f"the learning rate of {whose} ({type(one).__name__}) is {rate:g}; "
                "expected a finite number, 0 or more."
            )


def warn_of_learning_rates(optimizer: optimizers.Optimizer | None) -> list[str]:
    """Return a sentence for each learning rate out of all proportion.

    Args:
        optimizer: of the joint model; None passes.
    """
    said = [
        rate_doubt(whose, type(one).__name__, _rate(one), _kinds(one))
        for whose, one in inner_optimizers(optimizer).items()
    ]
    return [sentence for sentence in said if sentence]


def _kinds(optimizer: optimizers.Optimizer) -> list[str]:
    """Return the names of the classes of an optimizer, in small letters."""
    return [kind.__name__.lower() for kind in type(optimizer).__mro__]


def inner_optimizers(
    optimizer: optimizers.Optimizer | None,
) -> dict[str, optimizers.Optimizer]:
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


def _rate(optimizer: optimizers.Optimizer) -> float:
    """Return the rate of the next step; of a warm-up the rate that it ends at."""
    schedule = getattr(optimizer, "_learning_rate", None)
    target = getattr(schedule, "warmup_target", None)
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    return rate if target is None else max(rate, float(target))
