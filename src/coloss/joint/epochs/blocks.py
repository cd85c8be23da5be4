"""A train or test function that takes the steps of an epoch in blocks."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import TypeAlias

import keras

from coloss.joint.epochs.callbacks import NO_STEP
from coloss.joint.epochs.jax import State, Step, StepPrograms, free_memory
from coloss.joint.epochs.memory import SHARE
from coloss.joint.epochs.pace import Pace
from coloss.joint.epochs.turns import TRAIN, BlocksBase, Order, Turns
from coloss.joint.keras_internals import held_state, hold_state
from coloss.joint.steps.trust import shows_later
from coloss.typing import Nested, Tensor

Logs = dict[str, Tensor]

StepFunction: TypeAlias = Callable[[State, Iterator[Nested]], tuple[Logs, State]]
"""What Keras's loop calls: from a state and batches to logs and the state after."""


class InBlocks:
    """Keras's train or test function, which takes turns of `Turns` in blocks.

    Args:
        model: the joint model.
        plain: Keras's own function, for everything else.
        step: the model's `train_step` or `test_step`.
        quick: its `trusting_step`, for blocks that are looked at only when they are
            done; None: there is nothing to look at.
    """

    def __init__(
        self,
        model: BlocksBase,
        plain: StepFunction,
        step: Step,
        quick: Step | None = None,
    ) -> None:
        """Compile nothing yet."""
        self._model, self._plain = model, plain
        self._programs, self.pace = StepPrograms(model, step), Pace()
        self._quick = None if quick is None else StepPrograms(model, quick, trusts=True)
        self._trusts: bool | None = None
        self._last_known = False

    def __call__(self, state: State, iterator: Iterator[Nested]) -> tuple[Logs, State]:
        """Take one step, or where the batch is a word the steps of a whole turn.

        Args:
            state: lists of arrays.
            iterator: of batches.

        Returns:
            The logs, and the new state.
        """
        if not self._model.turns.active:
            return self._plain(state, iterator)
        batch = next(iterator)
        word = next(iter(batch)) if isinstance(batch, dict) else ""
        turns = self._model.turns.by_word.get(word)
        if turns is None:
            return self._plain(state, itertools.chain([batch], iterator))
        return self._turn(turns, state)

    def _turn(self, turns: Turns, state: State) -> tuple[Logs, State]:
        order = turns.draw()
        start = turns.order.first
        callbacks = turns.callbacks
        while True:
            logs, state, stop = self._block(turns, state, order, start)
            callbacks.last_step = stop - 1
            if stop == turns.steps:
                self._model.turns.logs = logs
                return logs, state  # Keras's loop ends this block.
            if turns.word == TRAIN:
                callbacks.on_train_batch_end(stop - 1, logs)
                if self._model.stop_training:
                    callbacks.last_step = NO_STEP
                    return logs, held_state(self._model, state)
                callbacks.begin_block(stop)
                state = held_state(self._model, state)
            start = stop

    def _block(
        self, turns: Turns, state: State, order: Order, start: int
    ) -> tuple[Logs, State, int]:
        """Take the steps of one block.

        Returns:
            The logs, the state, and the step after the last.
        """
        begun, stop = time.perf_counter(), start
        pause = turns.order.pause(start)
        if start < turns.whole:
            stop = min(self.pace.stop(start, turns.whole), pause)
        clean = True
        ends = stop == turns.whole < pause and order[1] is not None
        if ends:
            clean, self._last_known = self._last_known, True
        block = _Block(turns, order, start, stop, ends)
        with self._shielded():
            taken = None
            if self._quick is not None and self._may_trust(state):
                taken = block.take(self._quick, state, lambda _: None)
            if taken is None or not taken.is_sound:
                taken = block.take(self._programs, state, self._hold)
            self._hold(taken.state)
        done = start
        for good, steps in taken.counts:
            if good < steps:
                turns.guard.note_step(done + good)
            done += steps
        if clean:
            self.pace.measured(done - start, time.perf_counter() - begun)
        return taken.logs, taken.state, done

    def _hold(self, state: State) -> None:
        hold_state(self._model, state)

    def _may_trust(self, state: State) -> bool:
        """Return whether a state can be kept, and what comes next shows flaws."""
        if self._trusts is None:
            model = self._model
            size = sum(array.nbytes for array in keras.tree.flatten(state))
            self._trusts = (
                model.guarded
                and shows_later(model.optimizer, model.trainable_variables)
                and size <= SHARE * free_memory()
            )
        return self._trusts

    def _shielded(self) -> AbstractContextManager[None]:
        # A first call waits for the compiler, which may take long.
        return interrupts_wait() if self.pace.started else nullcontext()


@dataclass(frozen=True)
class _Taken:
    """What a block gave.

    Attributes:
        logs: after it.
        state: after it.
        counts: of each program: how many steps had a finite loss, and how many it took.
    """

    logs: Logs
    state: State
    counts: list[tuple[int, int]]

    @property
    def is_sound(self) -> bool:
        """Whether nothing went wrong in it."""
        return all(good == steps for good, steps in self.counts)


@dataclass(frozen=True)
class _Block:
    """The steps from `start` to `stop` on whole batches, and the small last one."""

    turns: Turns
    order: Order
    start: int
    stop: int
    ends: bool

    def take(
        self, programs: StepPrograms, state: State, hold: Callable[[State], None]
    ) -> _Taken:
        """Take the steps.

        Args:
            programs: that take them.
            state: before.
            hold: told each state whose predecessor may be used up.
        """
        turns, (many, last), found = self.turns, self.order, []
        if self.stop > self.start:
            span = (self.start, self.stop)
            one, state = programs.many(state, turns.rows, many, span, turns.size)
            hold(state)
            found.append((one, self.stop - self.start))
        if self.ends and last is not None:
            one, state = programs.last(state, turns.rows, last)
            hold(state)
            found.append((one, 1))
        counts: list[tuple[int, int]] = []
        logs: Logs = {}
        for one, steps in found:
            logs, good = programs.read(one)
            counts.append((good, steps))
        return _Taken(logs, state, counts)


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait until the block ends: what a step returns must not get lost.

    A program uses up the buffers of the state that it is given.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(*came[0])
