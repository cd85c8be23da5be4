"""One step of Adam on a small vector: how methods move their own numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from keras import ops

from coloss.typing import State, Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def start(k: int) -> dict[str, np.ndarray]:
    """Return the state before the first step.

    Args:
        k: length of the vector.
    """
    return {
        "first": np.zeros(k, "float32"),
        "second": np.zeros(k, "float32"),
        "steps": np.zeros((), "float32"),
    }


def step(
    values: Tensor, gradient: Tensor, state: Mapping[str, Tensor], rate: float
) -> tuple[Tensor, State]:
    """Return the vector after one step down its gradient, and the new state.

    Args:
        values: (K,).
        gradient: (K,).
        state: what `start` or the last `step` returned; other keys are left out.
        rate: step size.

    Returns:
        (K,) and the state.

    Reference:
        Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization",
        arXiv:1412.6980.
    """
    one, two = BETAS
    steps = state["steps"] + 1.0
    first = one * state["first"] + (1.0 - one) * gradient
    second = two * state["second"] + (1.0 - two) * ops.square(gradient)
    scale = ops.sqrt(second / (1.0 - ops.power(two, steps))) + EPSILON
    moved = values - rate * first / (1.0 - ops.power(one, steps)) / scale
    return moved, {"first": first, "second": second, "steps": steps}
