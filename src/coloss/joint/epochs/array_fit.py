"""The arguments of a `fit` on arrays, taken apart as Keras takes them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import keras

from coloss.distributed import agree, process_count, together
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
    """Refuse a `fit` whose batches several devices or processes cannot share.

    Args:
        arguments: of `keras.Model.fit`, checked and by member.

    Raises:
        ValueError: naming the nearest numbers of rows that they can; in all processes.
    """
    if process_count() > 1:
        with together():
            facts = _facts(arguments)
        agree(facts)
    if shards() == 1 or not is_array_data(arguments["x"]):
        return
    fit = take_apart(arguments)
    check_batches(fit.order.rows, fit.order.size)
    if isinstance(fit.after, tuple) and is_array_data(fit.after[0]):
        check_batches(count_rows(fit.after[0]), fit.size_after, "validation data: ")


def _facts(arguments: Mapping[str, Any]) -> dict[str, object]:
    """Return in what the processes of a `fit` must agree, lest one waits for ever."""
    facts: dict[str, object] = {"`epochs`": arguments["epochs"]}
    if is_array_data(arguments["x"]):
        fit = take_apart(arguments)
        leaves = keras.tree.flatten([*fit.rows])
        kinds = [
            f"{leaf.dtype} {leaf.shape[1:]}" for leaf in leaves if leaf is not None
        ]
        facts |= {
            "number of rows": fit.order.rows,
            "`batch_size`": fit.order.size,
            "arrays": ", ".join(kinds),
        }
        after, size_after = fit.after, fit.size_after
    else:
        steps = arguments.get("steps_per_epoch") or _length(arguments["x"])
        facts["number of steps an epoch"] = steps
        after, size_after = arguments["validation_data"], arguments["batch_size"]
    if isinstance(after, tuple) and is_array_data(after[0]):
        facts["number of rows of validation data"] = count_rows(after[0])
        facts["`validation_batch_size`"] = size_after
    return facts


def _length(data: object) -> int:
    """Return the number of batches of a dataset.

    Raises:
        ValueError: if nobody knows it.
    """
    for name in ("num_batches", "__len__"):
        try:
            found = getattr(data, name)
            return int(found() if callable(found) else found)
        except (AttributeError, TypeError, NotImplementedError):
            continue
    raise ValueError(
        f"nobody knows how many batches {type(data).__name__} has, and a process that "
        "runs out of them leaves the others waiting: give `steps_per_epoch`."
    )


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
