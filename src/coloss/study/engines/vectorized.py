"""A whole population of runs as one compiled program (JAX).

What is run is Keras's own stateless train step of the `JointModel`, over all runs at
once (`jax.vmap`) or one after the other on the device (`jax.lax.map`), inside a loop
over the steps of an epoch (`jax.lax.scan`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from coloss.joint.epochs.jax import free_memory
from coloss.joint.inputs.missing_rows import Complete
from coloss.study.arms import Run
from coloss.study.engines.programs import Programs, State, first_form
from coloss.study.engines.sequential import sequential
from coloss.study.engines.watching import Watch
from coloss.study.settings import Record, Training
from coloss.study.trial import Trial
from coloss.typing import Nested

LARGEST = 64
"""Runs in one program: more are no faster on any device measured."""

FEW = 4
"""Where splits differ in shape, so many runs of one shape are worth a program."""


def vectorized(
    trial: Trial,
    runs: Sequence[Run],
    training: Training,
    tick: Callable[[float], None],
    *,
    chunk: int | None = None,
    form: str = "auto",
) -> Iterator[Record]:
    """Yield each run's record as its chunk is finished; see `Engine`.

    Runs whose splits have the same numbers of rows form a population. Where numbers
    differ, as between folds by group, the few runs of a rare shape are trained by
    `sequential`, whose compiled step serves every shape.

    Args:
        trial: the arm, compiled.
        runs: of that arm.
        training: how.
        tick: for a progress bar.
        chunk: runs in one program; None: as many as fit half of the free memory.
        form: "vmap", "map", or "auto": what is measured to be faster.
    """
    groups = _by_shape(trial, runs, training)
    rare = [run for group in groups if len(group) < FEW for run in group]
    if len(groups) > 1:
        groups = [group for group in groups if len(group) >= FEW]
        yield from sequential(trial, rare, training, tick)
    for group in groups:
        size = chunk or chunk_size(trial, len(group))
        programs = Programs(trial, training, form, math.ceil(len(group) / size))
        for start in range(0, len(group), size):
            part = group[start : start + size]
            yield from _Population(trial, part, training, programs, size).train(tick)


def fitting(
    trial: Trial,
    runs: Sequence[Run],
    training: Training,
    tick: Callable[[float], None],
) -> Iterator[Record]:
    """Yield each run's record, by the engine that suits its networks; see `Engine`.

    On one CPU, networks that fill it by themselves gain nothing from a common program,
    and wait for its compilation: they are trained by `sequential`, which gives the
    same results. All others are a population.
    """
    alone = jax.local_device_count() == 1
    if alone and first_form(trial, jax.local_devices()[0].platform) == "map":
        yield from sequential(trial, runs, training, tick)
    else:
        yield from vectorized(trial, runs, training, tick)


def _by_shape(trial: Trial, runs: Sequence[Run], training: Training) -> list[list[Run]]:
    """Return the runs, those together whose rows have the same shapes."""
    if trial.rows.same:
        return [list(runs)]
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        split = trial.rows(run.seed)
        parts = [getattr(split, part) for part in ("train", *training.parts)]
        shapes = jax.tree.map(np.shape, parts, is_leaf=lambda v: hasattr(v, "shape"))
        groups.setdefault(str(shapes), []).append(run)
    return list(groups.values())


def chunk_size(trial: Trial, runs: int) -> int:
    """Return how many runs to train at once: equal chunks that fit the memory."""
    numbers = sum(math.prod(v.shape) for group in trial.groups for v in group)
    # New and old state, gradients, the best weights; activations are of the size of
    # the weights at most where batches are small.
    need = 4 * numbers * 6
    fit = max(1, int(0.5 * free_memory() / need))
    chunks = math.ceil(runs / min(fit, LARGEST * jax.local_device_count()))
    return math.ceil(runs / chunks)


class _Population:
    """The runs of one chunk, trained side by side.

    Args:
        trial: the arm.
        runs: at most `size`.
        training: how.
        programs: compiled steps.
        size: to which the population is filled up, so that programs fit every chunk.
    """

    def __init__(
        self,
        trial: Trial,
        runs: Sequence[Run],
        training: Training,
        programs: Programs,
        size: int,
    ) -> None:
        """Put weights and rows on the device."""
        self._trial, self._runs, self._training = trial, list(runs), training
        self._programs = programs
        devices = jax.local_device_count()
        target = -(-size // devices) * devices
        filled = [*self._runs, *[self._runs[-1]] * (target - len(self._runs))]
        self._seeds = [run.seed for run in filled]
        starts = [trial.start(run) for run in filled]
        state = [
            [np.stack(values) for values in zip(*rows, strict=True)]
            for rows in zip(*starts, strict=True)
        ]
        self._state = programs.spread(tuple(state[:3]))
        parts = dict.fromkeys(("train", "validation", *training.parts))
        self._rows = {part: self._stacked(part) for part in parts}
        distinct = list(dict.fromkeys(self._seeds))
        same = trial.rows.same
        self._place = programs.spread(
            np.array([0 if same else distinct.index(s) for s in self._seeds], "int32")
        )
        self._kept: State | None = None
        self._history: list[list[dict[str, float]]] = [[] for _ in self._runs]
        self._stopping = Stopping(training, len(self._runs))
        self._watch = Watch(trial, self._state)

    def _stacked(self, part: str) -> tuple[Nested, Nested]:
        """Return the rows of every seed, each array with an axis of seeds before."""
        seeds = list(dict.fromkeys(self._seeds))
        if self._trial.rows.same:
            seeds = seeds[:1]
        found = [self._trial.part(seed, part) for seed in seeds]
        if part == "train":
            self._programs.expect(reduce(Complete.both, (one[2] for one in found)))
        pairs = [(x, y) for x, y, _ in found]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *pairs)
        return self._programs.copied(stacked)

    def train(self, tick: Callable[[float], None]) -> Iterator[Record]:
        """Train all runs, and yield their records."""
        begun = time.perf_counter()
        training, programs = self._training, self._programs
        rows = len(jax.tree.leaves(self._rows["train"][1])[0][0])
        for epoch in range(training.epochs):
            self._state, moved = programs.at_epoch(self._state, epoch)
            orders = programs.orders(self._seeds, epoch, rows)
            self._state, logs = programs.train_epoch(
                self._state, self._place, orders, self._rows["train"]
            )
            logs = {name: np.asarray(value) for name, value in logs.items()}
            if training.validates(epoch):
                self._state, found = programs.validate(
                    self._state, self._place, self._rows["validation"]
                )
                logs |= {f"val_{n}": np.asarray(v) for n, v in found.items()}
            self._note(epoch, logs, moved)
            tick(len(self._runs))
            if self._stopping.all_stopped:
                tick(len(self._runs) * (training.epochs - epoch - 1))
                break
        yield from self._records(time.perf_counter() - begun)

    def _note(
        self, epoch: int, logs: dict[str, np.ndarray], moved: dict[str, float]
    ) -> None:
        """Write the history, and keep the weights of runs that are at their best."""
        watched = self._watch.entries(self._state, len(self._runs))
        for index, entries in enumerate(self._history):
            if self._stopping.stopped[index] or not np.isfinite(logs["loss"][index]):
                continue
            found = {name: float(v[index].mean()) for name, v in logs.items()}
            entries.append({**found, **watched[index], **moved})
        keep = self._stopping.after(epoch, logs)
        if self._kept is None and keep is None:
            return
        now = self._state[:2]
        if self._kept is None:
            self._kept = jax.tree.map(jnp.copy, now)
        size = len(self._seeds)
        mask = np.zeros(size, bool)
        if keep is not None:
            mask[: len(keep)] = keep
        self._kept = self._programs.select(self._programs.spread(mask), now, self._kept)

    def _records(self, seconds: float) -> Iterator[Record]:
        state = self._state
        if self._kept is not None:
            final = self._stopping.takes_kept()
            mask = np.zeros(len(self._seeds), bool)
            mask[: len(final)] = final
            best = self._programs.select(
                self._programs.spread(mask), self._kept, state[:2]
            )
            state = (*best, state[2])
        found = {
            part: {
                name: np.asarray(value)
                for name, value in self._programs.evaluate(
                    state, self._place, self._rows[part]
                ).items()
            }
            for part in self._training.parts
        }
        for index, run in enumerate(self._runs):
            parts = {
                part: self._trial.reported({n: v[index] for n, v in logs.items()})
                for part, logs in found.items()
            }
            yield Record(
                run=run,
                validation=parts["validation"],
                test=parts.get("test", {}),
                seconds=seconds / len(self._runs),
                epochs=len(self._history[index]),
                error=self._stopping.errors[index],
                history=self._history[index],
            )


class Stopping:
    """Which runs have stopped, and whose weights are to be kept now.

    A run stops as `keras.callbacks.EarlyStopping` stops it, or when its loss is no
    longer finite.

    Args:
        training: `patience`, `metric`, `direction`.
        runs: how many.
    """

    def __init__(self, training: Training, runs: int) -> None:
        """All runs go on."""
        self._training = training
        self.stopped = np.zeros(runs, bool)
        self.errors: list[str | None] = [None] * runs
        self._wait = np.zeros(runs, int)
        self._best = np.full(runs, np.nan)
        self._has_kept = np.zeros(runs, bool)

    @property
    def all_stopped(self) -> bool:
        """Whether no run goes on."""
        return bool(self.stopped.all())

    def takes_kept(self) -> np.ndarray:
        """Return the runs that end with the weights kept for them, (runs,) bool."""
        return self._has_kept

    def after(self, epoch: int, logs: dict[str, np.ndarray]) -> np.ndarray | None:
        """Take in an epoch.

        Args:
            epoch: from 0.
            logs: entries of the history, (runs or more,) each.

        Returns:
            (runs,) bool: whose weights are to be kept as they are now; None: nobody's.
        """
        runs = len(self.stopped)
        keep = np.zeros(runs, bool)
        broken = ~np.isfinite(logs["loss"][:runs]) & ~self.stopped
        if self._training.patience is not None:
            keep |= self._improved(epoch, logs, ~broken & ~self.stopped)
        for index in np.flatnonzero(broken):
            self.errors[index] = (
                f"the loss was not finite in epoch {epoch + 1}; the weights are those "
                "of the last good step"
            )
            # With early stopping Keras raises before it goes back to the best ones.
            keep[index] = True
        self.stopped |= broken
        self._has_kept |= keep
        return keep if keep.any() else None

    def _improved(
        self, epoch: int, logs: dict[str, np.ndarray], going: np.ndarray
    ) -> np.ndarray:
        training = self._training
        values = logs.get(f"val_{training.metric}")
        if values is None or training.patience is None:
            return np.zeros(len(going), bool)
        now = values[: len(going)].astype(float)
        sign = 1.0 if training.direction == "max" else -1.0
        first = np.isnan(self._best)
        better = going & (first | (sign * (now - np.nan_to_num(self._best)) > 0))
        self._best = np.where(better, now, self._best)
        self._wait = np.where(better, 0, self._wait + going)
        if epoch > 0:
            self.stopped |= going & ~better & (self._wait >= training.patience)
        return better
