"""Whether a `fit` takes its steps in blocks, and how Keras is asked for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from coloss.joint.epochs.array_fit import list_as_keras_does, take_apart
from coloss.joint.epochs.blocks import InBlocks, StepFunction
from coloss.joint.epochs.callbacks import BlockCallbacks
from coloss.joint.epochs.jax import free_memory, on_device
from coloss.joint.epochs.memory import SHARE
from coloss.joint.epochs.order import RowOrder, count_rows
from coloss.joint.epochs.reasons import may_take_many, reason_of_callbacks
from coloss.joint.epochs.turns import TEST, TRAIN, BlocksBase, Turns, TurnsOfFit
from coloss.joint.inputs.arrays import is_array_data
from coloss.joint.keras_internals import traces_with_flax, whole_batch
from coloss.joint.steps.non_finite import NonFiniteGuard
from coloss.typing import Nested

Arguments = dict[str, Any]


def train_function(
    model: BlocksBase, plain: StepFunction, make: Callable[[], StepFunction]
) -> InBlocks:
    """Return a train function that takes blocks of steps where it is given a word."""
    del make
    return InBlocks(model, plain, model.train_step, model.trusting_step)


def test_function(
    model: BlocksBase, plain: StepFunction, make: Callable[[], StepFunction]
) -> InBlocks:
    """Return a test function that takes blocks of steps where it is given a word."""
    del make
    return InBlocks(model, plain, model.test_step)


@contextmanager
def in_blocks(model: BlocksBase, arguments: Arguments) -> Iterator[Arguments]:
    """Let a `fit` take its steps in blocks, where it may.

    Args:
        model: the joint model.
        arguments: of `keras.Model.fit`, checked and by member.

    Yields:
        The arguments to call it with instead; the same ones on the plain path.
    """
    if not may_take_many(model, arguments, _reason):
        yield arguments
        return
    turns, arguments = _turns(model, arguments)
    model.turns = TurnsOfFit({each.word: each for each in turns})
    try:
        yield arguments
    finally:
        model.turns = TurnsOfFit()


def _reason(model: BlocksBase, arguments: Arguments) -> str | None:
    """Return why steps must be taken one by one; None: they need not."""
    if model.run_eagerly or not model.jit_compile:
        return "the step is not compiled (run_eagerly, jit_compile)"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set"
    if traces_with_flax():
        return "Keras keeps its variables in Flax's manner (NNX)"
    for name in ("steps_per_epoch", "validation_steps"):
        if arguments.get(name) is not None:
            return f"{name} is given"
    if keras.config.max_steps_per_epoch() is not None:
        return "keras.config.max_steps_per_epoch is set"
    for name in ("train_step", "test_step"):
        owner = next(each for each in type(model).__mro__ if name in vars(each))
        if not owner.__module__.startswith("coloss."):
            return f"{owner.__name__} has a {name} of its own"
    return reason_of_callbacks(arguments["callbacks"]) or _reason_of_rows(arguments)


def _reason_of_rows(arguments: Arguments) -> str | None:
    data = [arguments["x"], arguments["y"], arguments["sample_weight"]]
    after = arguments["validation_data"]
    if isinstance(after, tuple) and is_array_data(after[0]):
        data += after
    leaves = [leaf for leaf in keras.tree.flatten(data) if leaf is not None]
    size = 0
    for leaf in leaves:
        if getattr(leaf, "nbytes", None) is None or not hasattr(leaf, "__array__"):
            return f"rows as {type(leaf).__name__} do not go to the device as one"
        size += int(leaf.nbytes)
    free = free_memory()
    if size > SHARE * free:
        return (
            f"the rows take {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are "
            "free on the device"
        )
    return None


def _turns(model: BlocksBase, arguments: Arguments) -> tuple[list[Turns], Arguments]:
    """Return the turns of a `fit`, and Keras's arguments for them."""
    fit, callbacks = take_apart(arguments), arguments["callbacks"]
    guard = next(one for one in callbacks if isinstance(one, NonFiniteGuard))
    told = list_as_keras_does(BlockCallbacks, arguments, fit.order.steps, model)
    turns, after = [_turn(TRAIN, fit.rows, fit.order, told, guard)], fit.after
    if isinstance(after, tuple) and is_array_data(after[0]):
        x, y, weight, *_ = (*after, None, None)
        order = RowOrder(count_rows(x), fit.size_after, shuffle=False)
        turns.append(_turn(TEST, (x, y, weight), order, told, guard))
        after = turns[-1].adapter()
    given = {"x": turns[0].adapter(), "validation_data": after, "callbacks": told}
    return turns, {**fit.others, **given}


def _turn(
    word: str,
    rows: tuple[Nested, Nested, Nested],
    order: RowOrder,
    callbacks: BlockCallbacks,
    guard: NonFiniteGuard,
) -> Turns:
    return Turns(
        word=word,
        rows=on_device(whole_batch(*rows)),
        order=order,
        callbacks=callbacks,
        guard=guard,
    )
