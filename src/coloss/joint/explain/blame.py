"""Which terms of an objective have a gradient that is not finite; asked after the fact.

A train step adds the terms up before it takes a gradient, so that it knows the variable
and not the term. Here each term is looked at by itself, with the last good weights.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import keras
import numpy as np

from coloss.joint.explain.kept_variables import states_of, variables_kept
from coloss.joint.explain.term_gradients import Flow
from coloss.joint.inputs.again import Batch
from coloss.joint.protocols import ExplainableModel

PATIENCE = 30.0
"""Seconds after which no further batch is looked at."""


def terms_not_finite(
    model: ExplainableModel,
    variable: keras.Variable,
    batches: Iterable[Batch],
    patience: float = PATIENCE,
) -> list[str]:
    """Return the terms whose own gradient at a variable is not finite.

    Random layers draw anew, and rows may be in other batches than in the step that
    failed; nothing of the model changes.

    Args:
        model: compiled and built, with the weights of the last good step.
        variable: where a gradient was not finite.
        batches: x, y and sample weights to look at, in this order.
        patience: seconds after which no further batch is looked at.

    Returns:
        Names of summands, of the first batch on which there are any; none if there is
        no such batch, as where only the sum of the terms is out of range.
    """
    summands = model.compiled_settings.summands
    # Each in a program of its own: what one term does not let through, another's zero
    # would be multiplied with.
    flows = {n: Flow(model, [one], [variable], training=True) for one, n in summands}
    others = [v for v in model.variables if v is not variable]
    until = time.monotonic() + patience
    with variables_kept([*others, *states_of(model.members)]):
        for x, y, sample_weight in batches:
            found = [
                name
                for name, flow in flows.items()
                if not np.all(np.isfinite(flow(x, y, sample_weight)[1][0][0]))
            ]
            if found or time.monotonic() > until:
                return found
    return []
