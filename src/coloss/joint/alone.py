"""A model as one of this process only, where several train it together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from coloss.distributed import local, process_count
from coloss.joint.keras_internals import holding, sync_variables


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
    values = [local(variable.value) for variable in variables]
    keras.distribution.set_distribution(None)
    try:
        with holding(variables, values):
            yield
    finally:
        keras.distribution.set_distribution(present)
        model.predict_function = compiled
