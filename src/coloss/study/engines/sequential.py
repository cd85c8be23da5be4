"""One run after the other, through `fit`. Works on every backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from coloss.joint import NonFiniteLossError
from coloss.study.arms import Run
from coloss.study.orders import OrderedRows
from coloss.study.settings import Record, Training, as_numbers
from coloss.study.trial import Trial


def sequential(
    trial: Trial,
    runs: Sequence[Run],
    training: Training,
    tick: Callable[[float], None],
) -> Iterator[Record]:
    """Yield each run's record as it is finished; see `Engine`.

    The compiled model of the arm is used again: only its first run waits for the
    compiler.
    """
    for run in runs:
        begun = time.perf_counter()
        history, error = train_one(trial, run, training, tick)
        found = {part: evaluate(trial, run, part, training) for part in training.parts}
        yield Record(
            run=run,
            validation=found["validation"],
            test=found.get("test", {}),
            seconds=time.perf_counter() - begun,
            epochs=len(history),
            error=error,
            history=history,
        )


def train_one(
    trial: Trial, run: Run, training: Training, tick: Callable[[float], None]
) -> tuple[list[dict[str, float]], str | None]:
    """Train one run; its networks are then those of `trial.joint`.

    Returns:
        The logs of every epoch, and why the run ended early, if it did.
    """
    trial.assign(trial.start(run))
    x, y, complete = trial.part(run.seed, "train")
    rows = OrderedRows(x, y, training.batch_size, training.epochs, run.seed, complete)
    keep = _History(tick)
    callbacks: list[Any] = [keep]
    if training.patience is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor=f"val_{training.metric}",
                mode=training.direction,
                patience=training.patience,
                restore_best_weights=True,
            )
        )
    error = None
    try:
        trial.joint.fit(
            rows,
            epochs=training.epochs,
            steps_per_epoch=rows.steps,
            validation_data=trial.part(run.seed, "validation")[:2],
            validation_batch_size=training.evaluation_batch,
            validation_freq=training.validation_freq,
            shuffle=False,
            callbacks=callbacks,
            verbose=0,
        )
    except NonFiniteLossError as found:
        error = str(found)
    tick(training.epochs - len(keep.epochs))
    return keep.epochs, error


def evaluate(trial: Trial, run: Run, part: str, training: Training) -> dict[str, float]:
    """Return the metrics of the model as it is, on "validation" or "test" rows."""
    x, y, _ = trial.part(run.seed, part)
    logs = trial.joint.evaluate(
        x, y, batch_size=training.evaluation_batch, verbose=0, return_dict=True
    )
    return trial.reported(logs)


class _History(keras.callbacks.Callback):
    """Keeps each epoch's logs, and tells the progress bar."""

    def __init__(self, tick: Callable[[float], None]) -> None:
        super().__init__()
        self._tick = tick
        self.epochs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epochs.append(as_numbers(logs or {}))
        self._tick(1)
