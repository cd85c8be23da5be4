"""The arguments of a `fit` on arrays, taken apart as Keras takes them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import keras

from coloss.joint.checks.devices import check_batches, shards
from coloss.joint.epochs.order import RowOrder, count_rows
from coloss.joint.inputs.arrays import is_array_data
from coloss.joint.keras_internals import DEFAULT_BATCH, split_rows
from coloss.typing import Nested

List = TypeVar("List", bound=keras.callbacks.CallbackList)


@dataclass(frozen=True)
class ArrayFit:
    """What a `fit` on arrays goes over.

    Attributes:
        rows: (x, y, sample_weight) to train on, without those of `validation_split`.
        order: in which they come.
        after: the validation data: those of `validation_split`, or as given.
        size_after: rows of a batch of these.
        others: the arguments that say something else.
    """

    rows: tuple[Nested, Nested, Nested]
    order: RowOrder
    after: Any
    size_after: int
    others: dict[str, Any]


def take_apart(arguments: Mapping[str, Any]) -> ArrayFit:
    """Return what the arguments of `keras.Model.fit` say of arrays.

    Args:
        arguments: checked and by member.
    """
    given = dict(arguments)
    rows = tuple(given.pop(name) for name in ("x", "y", "sample_weight"))
    after, share = given.pop("validation_data"), given.pop("validation_split")
    if share and after is None:
        rows, after = split_rows(rows, share)
    size = given.pop("batch_size") or DEFAULT_BATCH
    size_after = given.pop("validation_batch_size", None) or size
    order = RowOrder(count_rows(rows), size, given.pop("shuffle"))
    return ArrayFit(rows, order, after, size_after, given)


def check_fit_batches(arguments: Mapping[str, Any]) -> None:
    """Refuse a `fit` on arrays whose batches several devices cannot share.

    Args:
        arguments: of `keras.Model.fit`, checked and by member.

    Raises:
        ValueError: naming the nearest numbers of rows that they can.
    """
    if shards() == 1 or not is_array_data(arguments["x"]):
        return
    fit = take_apart(arguments)
    check_batches(fit.order.rows, fit.order.size)
    if isinstance(fit.after, tuple) and is_array_data(fit.after[0]):
        check_batches(count_rows(fit.after[0]), fit.size_after, "validation data: ")


def list_as_keras_does(
    kind: type[List], arguments: Mapping[str, Any], steps: int, model: keras.Model
) -> List:
    """Return the list that Keras would make of the callbacks of a `fit`.

    Args:
        kind: of list.
        arguments: of `keras.Model.fit`.
        steps: of an epoch.
        model: that is trained.
    """
    verbose = arguments["verbose"]
    return kind(
        arguments["callbacks"],
        add_history=True,
        add_progbar=verbose != 0,
        verbose=verbose,
        epochs=arguments["epochs"],
        steps=steps,
        model=model,
    )
