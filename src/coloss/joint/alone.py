"""A model as one of this process only, where several train it together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import keras

from coloss.distributed import local, process_count
from coloss.joint.keras_internals import set_values, sync_variables
from coloss.typing import Tensor


@contextmanager
def alone(model: keras.Model) -> Iterator[None]:
    """Let a model's variables be arrays of this process, until the block ends.

    What is done inside (saving, exporting, predicting, explaining) is no business of
    the other processes: nothing waits for them, and they need not do it. Only where a
    variable lies in several processes (`ModelParallel`) must all of them enter.
    What the block writes into variables is forgotten.

    Args:
        model: between two steps.
    """
    if process_count() == 1:
        yield
        return
    sync_variables(model)
    every = [*model.variables, *getattr(model, "metrics_variables", ())]
    optimizer = getattr(model, "optimizer", None)
    every += [] if optimizer is None else optimizer.variables
    variables = list({id(one): one for one in every}.values())
    present = keras.distribution.distribution()
    compiled, model.predict_function = model.predict_function, None
    # Copies: steps may write their results where they read.
    values = [keras.ops.copy(local(variable.value)) for variable in variables]
    keras.distribution.set_distribution(None)
    try:
        with _holding(variables, values):
            yield
    finally:
        keras.distribution.set_distribution(present)
        model.predict_function = compiled


@contextmanager
def _holding(
    variables: Sequence[keras.Variable], values: Iterable[Tensor]
) -> Iterator[None]:
    """Let variables hold other values, on one device, until the block ends.

    Args:
        variables: of a model on JAX.
        values: one each, of their shapes and dtypes.
    """
    before = [(one._value, getattr(one, "_layout", None)) for one in variables]
    set_values(variables, values)
    for variable in variables:
        variable._layout = None  # Or Keras would spread what is assigned.
    try:
        yield
    finally:
        for variable, (value, layout) in zip(variables, before, strict=True):
            variable._value, variable._layout = value, layout
