"""Several steps in one call of TensorFlow: Keras's own multi-step function."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from coloss.joint.epochs.array_fit import take_apart
from coloss.joint.epochs.reasons import listed, may_take_many, reason_of_callbacks
from coloss.joint.epochs.turns import BlocksBase
from coloss.joint.keras_internals import DEFAULT_BATCH, replicas_of
from coloss.typing import Nested

STEPS = 16
"""In one call. What a call costs is then shared by enough of them."""

HEAVY = 10**8
"""Weights times rows times positions of a step that gains nothing: it takes many times
as long as a call, and Ctrl-C and the progress bar would wait for `STEPS` of them."""

FEW = 256
"""Steps of a whole `fit` that gains nothing: to make a program for many steps takes
longer, if steps were taken one by one before."""

Arguments = dict[str, Any]


class ByCount:
    """Keras's train or test function, for any number of steps in a call.

    Keras writes the number into the program when it is traced, and traces once.

    Args:
        model: whose function it is.
        plain: Keras's function for the model's present number.
        make: makes the function for the model's number of then.
    """

    def __init__(
        self,
        model: keras.Model,
        plain: Callable[..., Any],
        make: Callable[[], Callable[..., Any]],
    ) -> None:
        """Keep the first function."""
        self._model, self._make = model, make
        self._made = {int(model.steps_per_execution): plain}

    def __call__(self, batches: Iterator[Nested]) -> Any:
        """Take as many steps as the model says now."""
        steps = int(self._model.steps_per_execution)
        if steps not in self._made:
            self._made[steps] = self._make()
        return self._made[steps](batches)


def train_function(
    model: BlocksBase, plain: Callable[..., Any], make: Callable[[], Callable[..., Any]]
) -> Callable[..., Any]:
    """Return a train function for any number of steps, where there may be several."""
    return ByCount(model, plain, make) if model.takes_blocks else plain


test_function = train_function


@contextmanager
def in_blocks(model: BlocksBase, arguments: Arguments) -> Iterator[Arguments]:
    """Let a `fit` on arrays take several steps in a call, where it may.

    Args:
        model: the joint model.
        arguments: of `keras.Model.fit`, checked and by member.

    Yields:
        The arguments as they are.
    """
    many = may_take_many(model, arguments, _reason)
    if many and _steps(arguments) > FEW and _load(model, arguments) <= HEAVY:
        with steps_in_a_call(model, STEPS):
            yield arguments
    else:
        yield arguments


@contextmanager
def steps_in_a_call(model: BlocksBase, steps: int) -> Iterator[None]:
    """Let Keras's loops take so many steps in a call, until the block ends."""
    before = model.steps_per_execution
    model.steps_per_execution = steps
    try:
        yield
    finally:
        model.steps_per_execution = before


def _reason(model: BlocksBase, arguments: Arguments) -> str | None:
    """Return why steps must be taken one by one; None: they need not."""
    if model.run_eagerly:
        return "the step is not compiled (run_eagerly)"
    if replicas_of(model) > 1:
        return "a tf.distribute strategy has several replicas"
    for callback in listed(arguments["callbacks"]):
        if getattr(callback, "inside_epochs", False):
            return f"{type(callback).__name__} is written in the middle of an epoch"
    return reason_of_callbacks(arguments["callbacks"])


def _steps(arguments: Arguments) -> int:
    """Return the steps of all epochs."""
    fit = take_apart(arguments)
    epochs = arguments["epochs"] - arguments.get("initial_epoch", 0)
    return int(fit.order.steps * epochs)


def _load(model: BlocksBase, arguments: Arguments) -> int:
    """Return weights times rows times positions: a bound on the products of a step."""
    rows = arguments["batch_size"] or DEFAULT_BATCH
    positions = [
        math.prod(array.shape[1:-1]) for array in keras.tree.flatten(arguments["x"])
    ]
    return int(model.count_params() * rows * max(positions, default=1))
