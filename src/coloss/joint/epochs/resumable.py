"""A `fit` that goes on where another process was interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import keras
import numpy as np

from coloss.joint.epochs.array_fit import list_as_keras_does, take_apart
from coloss.joint.epochs.order import RowOrder
from coloss.joint.epochs.skipping import KnownSteps, Skipping
from coloss.joint.epochs.turns import TRAIN, BlocksBase
from coloss.joint.inputs.arrays import is_array_data
from coloss.joint.keras_internals import ArraysInOrder, start_at
from coloss.typing import Nested

Arguments = dict[str, Any]


@dataclass(frozen=True)
class PresentFit:
    """What a callback that resumes is told, before a `fit` begins.

    Attributes:
        model: the joint model.
        compiled: arguments of `compile`, but for the objective and what it reads; of
            the optimizer, what made it.
        arguments: of `fit`, checked and by member.
        class_weight: as given to `fit`.
        callbacks: of this `fit`, in the order in which they are called, those that
            resume left out.
        order: in which rows come; None: data other than arrays decides it itself.
        in_blocks: whether steps are taken in blocks.
        told: what calls callbacks where steps are taken one by one.
    """

    model: BlocksBase
    compiled: Mapping[str, object]
    arguments: Mapping[str, Any]
    class_weight: object
    callbacks: tuple[keras.callbacks.Callback, ...]
    order: RowOrder | None
    in_blocks: bool
    told: KnownSteps

    def go_on(self, rows: np.ndarray | None, first: int) -> None:
        """Let the first epoch be one that was interrupted; called when it begins.

        Args:
            rows: (rows,) its order.
            first: the first step that it did not take.
        """
        if self.order is None:
            raise ValueError("the order of the rows of this data is not known.")
        self.order.go_on(rows, first)
        if not self.in_blocks:
            self.model.train_function = Skipping(self.model, first, self.order.steps)
            self.told.first = first


class Resumes(Protocol):
    """A callback that brings back an interrupted `fit`."""

    def take_fit(self, fit: PresentFit) -> None:
        """Take in what is about to begin, or refuse it."""
        ...

    def end_fit(self) -> None:
        """Bring to its end what is done beside the `fit`, however that ends."""
        ...


Rows = tuple[Nested, Nested, Nested]
"""x, y and sample_weight, as `fit` took them, without the rows of a validation."""


class ReadsRows(Protocol):
    """A callback that must know which rows a step had."""

    def take_rows(self, rows: Rows, order: RowOrder) -> None:
        """Take in what is about to be trained on."""
        ...

    def take_error(self, error: BaseException) -> None:
        """Take in what ended the `fit`."""
        ...


def reads_rows(callback: object) -> TypeGuard[ReadsRows]:
    """Return whether a callback must know which rows a step had."""
    return hasattr(callback, "take_rows")


def resumes(callback: object) -> TypeGuard[Resumes]:
    """Return whether a callback brings back an interrupted `fit`."""
    return hasattr(callback, "take_fit")


def in_calling_order(
    callbacks: list[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """Return callbacks as a `fit` calls them: what resumes comes after all others.

    So it sees what the others made of an epoch, the history included.

    Raises:
        ValueError: if there are several that resume.
    """
    last = [callback for callback in callbacks if resumes(callback)]
    if not last:
        return callbacks
    if len(last) > 1:
        raise ValueError(
            "several callbacks bring back an interrupted fit: "
            f"{', '.join(type(one).__name__ for one in last)}. Give one."
        )
    others = [callback for callback in callbacks if not resumes(callback)]
    if not any(isinstance(one, keras.callbacks.History) for one in others):
        others.append(keras.callbacks.History())
    return [*others, *last]


def refuse_in_list(callbacks: keras.callbacks.CallbackList) -> None:
    """Refuse what resumes, or reads rows, in a list that calls in its own order.

    Raises:
        TypeError: if there is such a callback.
    """
    for callback in callbacks.callbacks:
        if resumes(callback) or reads_rows(callback):
            raise TypeError(
                f"{type(callback).__name__} has to see how `fit` takes its rows: give "
                "`fit` a list of callbacks instead of a CallbackList."
            )


@contextmanager
def resumable(
    model: BlocksBase, given: Arguments, chosen: Arguments, class_weight: object
) -> Iterator[Arguments]:
    """Let a `fit` be resumed, or its rows be known, where a callback asks for that.

    Args:
        model: the joint model.
        given: arguments of `keras.Model.fit`, checked and by member.
        chosen: what it is to be called with: the same ones, or those of blocks.
        class_weight: as given to `fit`.

    Yields:
        The arguments to call it with instead; the same ones without such a callback.

    Raises:
        ValueError: if the order of the rows cannot be known.
    """
    listed = chosen["callbacks"]
    in_list = isinstance(listed, keras.callbacks.CallbackList)
    every: list[Any] = listed.callbacks if in_list else listed
    callback = next((one for one in every if resumes(one)), None)
    readers = [one for one in every if reads_rows(one)]
    if callback is None and not readers:
        yield chosen
        return
    order, told = None, KnownSteps()
    if model.turns.active:
        order = model.turns.by_word[TRAIN].order
    elif is_array_data(chosen["x"]):
        order, chosen = _in_order(chosen, callback or readers[0])
        told = list_as_keras_does(KnownSteps, chosen, order.steps, model)
        chosen["callbacks"] = told
    for reader in readers:
        _tell_rows(reader, given, order)
    others = tuple(one for one in every if one is not callback)
    fit = PresentFit(
        model=model,
        compiled={**model._arguments, "optimizer": model._optimizer_config},
        arguments=given,
        class_weight=class_weight,
        callbacks=others,
        order=order,
        in_blocks=model.turns.active,
        told=told,
    )
    with _told_of_errors(readers), _brought_back(model, fit, callback):
        yield chosen


def _tell_rows(
    reader: ReadsRows, given: Mapping[str, Any], order: RowOrder | None
) -> None:
    if order is None:
        raise ValueError(
            f"{type(reader).__name__} needs arrays: of data of type "
            f"{type(given['x']).__name__} nobody knows which rows a step had."
        )
    reader.take_rows(take_apart(given).rows, order)


@contextmanager
def _told_of_errors(readers: list[ReadsRows]) -> Iterator[None]:
    """Tell those who know the rows what ended a `fit`."""
    try:
        yield
    except BaseException as error:
        for reader in readers:
            try:
                reader.take_error(error)
            except OSError as another:
                error.add_note(f"Besides, its batch could not be written: {another}")
        raise


@contextmanager
def _brought_back(
    model: BlocksBase, fit: PresentFit, callback: Resumes | None
) -> Iterator[None]:
    """Let a callback bring back what was interrupted, and end with the `fit`."""
    if callback is not None:
        callback.take_fit(fit)
    try:
        yield
    except BaseException as error:
        try:
            if callback is not None:
                callback.end_fit()
        except Exception as another:
            error.add_note(f"Besides, a checkpoint could not be written: {another}")
        raise
    else:
        if callback is not None:
            callback.end_fit()
    finally:
        start_at(model, None)
        if isinstance(model.train_function, Skipping):
            model.train_function = model.train_function.plain


def _in_order(arguments: Arguments, asks: object) -> tuple[RowOrder, Arguments]:
    """Return the order of rows, and Keras's arguments for arrays in that order.

    Args:
        arguments: of `keras.Model.fit`.
        asks: the callback that must know the order.
    """
    if arguments.get("steps_per_epoch") is not None:
        raise ValueError(
            "with `steps_per_epoch`, an epoch of arrays begins in the middle of their "
            "rows, where no checkpoint can begin. Leave it out, or leave "
            f"{type(asks).__name__} out."
        )
    fit = take_apart(arguments)
    adapter = _adapter()(fit.rows, fit.order.size, fit.order.batches)
    given = {"x": adapter, "validation_data": fit.after}
    # `batch_size` is gone, from which Keras would take it.
    given["validation_batch_size"] = fit.size_after
    return fit.order, {**fit.others, **given}


def _adapter() -> type[ArraysInOrder]:
    if keras.backend.backend() != "tensorflow":
        return ArraysInOrder
    from coloss.joint.epochs.tensorflow import RowsInOrder

    return RowsInOrder
