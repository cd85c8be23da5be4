"""The batch at which a training stopped being finite, in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from coloss.joint import NonFiniteLossError
from coloss.joint.epochs.order import RowOrder
from coloss.joint.epochs.resumable import Rows
from coloss.typing import FilePath
from coloss.writing import whole

Logs = dict[str, Any] | None


class BadBatch(keras.callbacks.Callback):
    """Writes the batch whose step was not finite, so that it can be looked at.

    The file is a `.npz` of plain arrays: `x/MEMBER`, `y/MEMBER` and
    `sample_weight/MEMBER` (or `y` where all members have one), each (rows, ...), as
    `fit` took them and without `class_weight`; `rows`, their places in the arrays that
    `fit` got; `step`, that of each row; `epoch`. Epoch and steps count from 0. The
    error names the file, and has its path as `batch`. Where only a block of steps is
    known that had the bad one, all rows of the block are written.

    Nothing is written while all goes well. What `fit` costs stays as it was.

    Args:
        path: of the file, ending in `.npz`; what is there is replaced.

    Raises:
        ValueError: for another ending.

    Examples:
        >>> kept = BadBatch("bad.npz")
        >>> # joint.fit(x, y, callbacks=[kept])
        >>> # np.load("bad.npz")["y/acoustic"]
    """

    every_step = False

    def __init__(self, path: FilePath) -> None:
        """Check the name; nothing is written."""
        super().__init__()
        self.path = Path(path)
        if self.path.suffix != ".npz":
            raise ValueError(
                f"`path` of BadBatch must end in .npz; found {str(self.path)!r}."
            )
        self._rows: Rows = (None, None, None)
        self._order: RowOrder | None = None

    def take_rows(self, rows: Rows, order: RowOrder) -> None:
        """Take in what is about to be trained on; `JointModel.fit` calls this.

        Args:
            rows: (x, y, sample_weight), by member or one array.
            order: in which they come.
        """
        self._rows, self._order = rows, order

    def on_train_begin(self, logs: Logs = None) -> None:
        """Refuse a training that nobody would tell of a bad step.

        Raises:
            TypeError: if the model is no `JointModel`.
            ValueError: if it goes on after such steps.
        """
        arguments = getattr(self.model, "_arguments", None)
        if self._order is None or arguments is None:
            raise TypeError(
                "BadBatch needs the `fit` of a coloss.JointModel; found "
                f"{type(self.model).__name__}."
            )
        policy = arguments["on_nonfinite"]
        if policy != "raise":
            raise ValueError(
                "BadBatch writes the batch at which training stops, and with "
                f'on_nonfinite={policy!r} it goes on. Compile with "raise".'
            )

    def take_error(self, error: BaseException) -> None:
        """Write the rows, if this is the error of a step; `JointModel.fit` calls this.

        Args:
            error: that ended the `fit`. What is said of it names the file.

        Raises:
            OSError: if it cannot be written, as on a full disk.
        """
        order = self._order
        if not isinstance(error, NonFiniteLossError) or order is None:
            return
        if error.step is None or error.epoch is None:
            return  # Of validation rows.
        first = error.step if error.since is None else min(error.since, error.step)
        places = np.arange(
            first * order.size, min((error.step + 1) * order.size, order.rows)
        )
        chosen = places if order.present is None else order.present[places]
        found: dict[str, Any] = {
            "rows": np.asarray(chosen, "int64"),
            "step": places // order.size,
            "epoch": np.int64(error.epoch),
        }
        for name, values in zip(("x", "y", "sample_weight"), self._rows, strict=True):
            found |= dict(_named(name, values, chosen))
        with whole(self.path) as partial:
            np.savez(partial, **found)
        error.name_batch(self.path)


def _named(name: str, values: Any, rows: np.ndarray) -> Iterator[tuple[str, Any]]:
    """Yield the rows of every array of a structure, by its path."""
    if values is None:
        return
    if isinstance(values, Mapping):
        for key, inner in values.items():
            yield from _named(f"{name}/{key}", inner, rows)
    elif isinstance(values, list | tuple):
        for place, inner in enumerate(values):
            yield from _named(f"{name}/{place}", inner, rows)
    else:
        if keras.ops.is_tensor(values):
            values = keras.ops.convert_to_numpy(values)
        yield name, np.asarray(values)[rows]
