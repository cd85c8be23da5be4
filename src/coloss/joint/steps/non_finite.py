"""Training stops at a loss that is not finite, and says where."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from coloss.joint.steps.cause import Blame, Cause, cause_of
from coloss.typing import Logs


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient is not finite; the last good weights are kept.

    Attributes:
        epoch: from 0; None outside `fit`.
        step: the last step of the execution in which it occurred, from 0, or None.
        since: the first step in which it may have occurred, or None.
        entries: the logged values that are not finite, by name.
        variable: the path of the variable whose gradient or update was not finite,
            where the loss was; else None.
        batch: the file with the rows of the step, where `coloss.callbacks.BadBatch`
            wrote it; else None.
    """

    batch: Path | None = None

    def __init__(
        self,
        entries: Mapping[str, float],
        *,
        epoch: int | None = None,
        step: int | None = None,
        since: int | None = None,
        cause: Cause | None = None,
        where: str = "",
    ) -> None:
        """Say where it happened, which entries are not finite, and why if known."""
        cause = cause or Cause()
        self.entries, self.epoch, self.step = dict(entries), epoch, step
        self.since = since
        self.variable = cause.variable
        what = cause.sentence or _what(entries)
        mend = _MEND_DATA if where else _MEND
        super().__init__(f"{where}{what}{_where(epoch, step, since)}. {mend}")

    def name_batch(self, path: Path) -> None:
        """Say in which file the rows are."""
        self.batch = path
        self.args = (f"{self} The rows of that step are in {path}.",)


_MEND = (
    "Training stopped; the weights are those before that step. Look for a term without "
    "a lower bound (a member trained to fail), a learning rate that is too high, or "
    "values in the data that are not finite; `clipnorm` of the optimizer bounds a step."
)

_MEND_DATA = (
    "Look for values in the data that are not finite, labels out of range, or a loss "
    "that overflows on it; the weights are as they were."
)


def raise_if_not_finite(
    logs: Mapping[str, float] | None,
    *,
    epoch: int | None = None,
    step: int | None = None,
    since: int | None = None,
    cause: Callable[[Mapping[str, float]], Cause] | None = None,
    where: str = "",
) -> None:
    """Refuse logs whose `loss` is not finite.

    Args:
        logs: numbers by name, `loss` among them.
        epoch: for the message, from 0.
        step: for the message, from 0.
        since: the first step that the logs may speak of. Defaults to `step`.
        cause: finds what is behind entries that are not finite; asked only then.
        where: prefix of the message, of data that is not trained on.

    Raises:
        NonFiniteLossError: if `loss` is not finite.
    """
    if not logs or _is_fine(logs):
        return
    numbers = {name: _float(value) for name, value in logs.items()}
    entries = {
        n: v for n, v in numbers.items() if v is not None and not math.isfinite(v)
    }
    raise NonFiniteLossError(
        entries,
        epoch=epoch,
        step=step,
        since=since,
        cause=None if cause is None else cause(entries),
        where=where,
    )


class NonFiniteGuard(keras.callbacks.Callback):
    """Raises at the first batch whose logged loss is not finite.

    The steps of `coloss.joint.steps` have by then left the weights as they were. It
    needs no batch at once (`async_safe`), so Keras may call it behind the computation,
    from several threads and not in order. What is found there is raised from the
    thread that trains, once all earlier batches have been seen.
    """

    async_safe = True
    patience = 60.0
    """Seconds to wait for batches that other threads have not brought yet."""

    def __init__(self, blame: Blame | None = None) -> None:
        """Start before the first epoch.

        Args:
            blame: from a variable to the terms whose own gradient there is not finite.
        """
        super().__init__()
        self._blame = blame
        self._news = threading.Condition()
        self._start(0)

    def _start(self, epoch: int) -> None:
        self._thread = threading.get_ident()
        self._epoch, self._seen = epoch, 0
        self._first_bad: int | None = None
        self._begun: list[int] = []
        self._bad: dict[int, Mapping[str, float]] = {}
        self._bad_test: dict[int, Mapping[str, float]] = {}

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch and the thread that trains."""
        self._start(epoch)

    def note_step(self, step: int) -> None:
        """Take in the step whose loss was the first of a block that is not finite.

        Args:
            step: of the epoch, or of the validation; the first one told counts.
        """
        if self._first_bad is None:
            self._first_bad = step

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Raise what was found behind the computation.

        Raises:
            NonFiniteLossError: if an earlier loss is not finite.
        """
        if self._bad:
            self._raise_first()
        self._begun.append(batch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss; raise at once where this is the thread that trains.

        Raises:
            NonFiniteLossError: if the loss is not finite.
        """
        with self._news:
            self._seen += 1
            if not _is_fine(logs):
                self._bad[batch] = dict(logs or {})
            self._news.notify_all()
        if self._bad and threading.get_ident() == self._thread:
            self._raise_first()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Raise if a loss of the epoch is not finite.

        Raises:
            NonFiniteLossError: if it is not.
        """
        if self._bad:
            self._raise_first()
        raise_if_not_finite(logs, epoch=epoch, cause=self._cause)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start before the first batch that is not trained on.

        A validation starts the metrics anew, and with them the report of what was not
        finite: a step before it is told of now.

        Raises:
            NonFiniteLossError: if the loss of such a step is not finite.
        """
        self._bad_test = {}
        # Of data whose length is not known, the last begun batch may be none.
        known = (self.params or {}).get("steps") is not None
        begun = len(self._begun) - (not known)
        with self._news:
            self._news.wait_for(lambda: self._seen >= begun, self.patience / 12)
        if self._bad:
            self._raise_first()
        self._first_bad = None

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Raise what was found behind the computation.

        Raises:
            NonFiniteLossError: if an earlier loss is not finite.
        """
        self._raise_test()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss of a batch that is not trained on."""
        # The running mean stays what it is from then on; threads come in any order.
        if not _is_fine(logs):
            self._bad_test[batch] = dict(logs or {})

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Raise if a loss was not finite.

        Raises:
            NonFiniteLossError: if one was not.
        """
        self._raise_test()

    def _raise_test(self) -> None:
        if self._bad_test:
            batch = min(self._bad_test)
            where = "data that is not trained on: "
            logs = self._bad_test[batch]
            step = batch if self._first_bad is None else self._first_bad
            raise_if_not_finite(logs, step=step, cause=self._cause, where=where)

    def _cause(self, entries: Mapping[str, float]) -> Cause:
        if self.model is None:
            return Cause()
        return cause_of(self.model, entries, self._blame)

    def _raise_first(self) -> None:
        with self._news:
            self._news.wait_for(lambda: self._seen >= len(self._begun), self.patience)
            step = min(self._bad)
            logs = self._bad[step]
        since = max((begun for begun in self._begun if begun <= step), default=step)
        if self._first_bad is not None:
            step = since = self._first_bad
        raise_if_not_finite(
            logs, epoch=self._epoch, step=step, since=since, cause=self._cause
        )


def with_guard(options: dict[str, object]) -> dict[str, object]:
    """Return the options of `evaluate` with a guard among the callbacks.

    Those that `fit` hands to a validation are a list that has one already.

    Args:
        options: as of `keras.Model.evaluate`.
    """
    given = options.get("callbacks")
    if isinstance(given, keras.callbacks.CallbackList):
        return options
    own = [] if given is None else given
    own = list(own) if isinstance(own, list | tuple) else [own]
    return {**options, "callbacks": [*own, NonFiniteGuard()]}


def _is_fine(logs: Mapping[str, float] | None) -> bool:
    return not logs or "loss" not in logs or math.isfinite(float(logs["loss"]))


def _what(entries: Mapping[str, float]) -> str:
    terms = {name: value for name, value in entries.items() if name != "loss"}
    if not terms:
        return "the loss or its gradient is not finite, though every logged term is"
    listed = ", ".join(f"{name!r} ({value})" for name, value in terms.items())
    return f"the loss is not finite: {listed}"


def _where(epoch: int | None, step: int | None, since: int | None) -> str:
    where = "" if epoch is None else f", in epoch {epoch + 1}"
    if step is None:
        return where
    first = step if since is None else min(since, step)
    steps = f"step {step + 1}" if first == step else f"steps {first + 1} to {step + 1}"
    return f"{where}, {steps}"


def _float(value: float) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
