"""A train or test function that takes the steps of an epoch in blocks."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import TypeAlias

from coloss.joint.epochs.callbacks import NO_STEP
from coloss.joint.epochs.jax import State, Step, StepPrograms
from coloss.joint.epochs.pace import Pace
from coloss.joint.epochs.turns import TRAIN, BlocksBase, Order, Turns
from coloss.joint.keras_internals import held_state, hold_state
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
    """

    def __init__(self, model: BlocksBase, plain: StepFunction, step: Step) -> None:
        """Compile nothing yet."""
        self._model, self._plain = model, plain
        self._programs, self.pace = StepPrograms(model, step), Pace()
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
        order, start = turns.draw(), 0
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
        programs, (many, last) = self._programs, order
        begun, stop, blocks = time.perf_counter(), start, []
        rows, size, whole = turns.rows, turns.size, turns.whole
        if start < whole:
            stop = self.pace.stop(start, whole)
            with self._shielded():
                found, state = programs.many(state, rows, many, (start, stop), size)
                hold_state(self._model, state)
            blocks.append((found, stop - start))
        clean = True
        if stop == whole and last is not None:
            clean, self._last_known = self._last_known, True
            with self._shielded():
                found, state = programs.last(state, rows, last)
                hold_state(self._model, state)
            blocks.append((found, 1))
            stop += 1
        for found, steps in blocks:
            logs, good = programs.read(found)
            if good < steps:
                turns.guard.note_step(start + good)
            start += steps
        if clean:
            self.pace.measured(sum(n for _, n in blocks), time.perf_counter() - begun)
        return logs, state, stop

    def _shielded(self) -> AbstractContextManager[None]:
        # A first call waits for the compiler, which may take long.
        return interrupts_wait() if self.pace.started else nullcontext()


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
