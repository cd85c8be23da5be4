"""Somebody asks a command to end: Ctrl-C (SIGINT), or SIGTERM as from a scheduler.

The first signal gets an answer that suits what the command is at: it ends at once while
there is nothing to save, it is unwound, or it trains to the end of a step. The second
one ends it at once, whatever it is at. Files are written whole or not at all, so that
nothing is lost then that was on the disk.

Python answers a signal between two of its own instructions, and a compiler may take
minutes for one. So a thread waits for signals, too; it is the one that ends at once.
Imports nothing but Python's own: it is there before everything else.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Answer = Callable[[int], None]
"""What is done with the first signal, in the main thread; given its number."""


class Ended(KeyboardInterrupt):
    """Somebody asked for the end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        """Keep the number."""
        super().__init__(number)
        self.number = number


@dataclass
class _State:
    listening: bool = False
    answer: Answer | None = None
    came: int = 0
    first: int | None = None
    raised: bool = False


_STATE = _State()


def code_of(error: KeyboardInterrupt) -> int:
    """Return the exit code that a shell knows: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + int(getattr(error, "number", signal.SIGINT))


def listen() -> None:
    """Listen from here to the end of the process, which nothing is lost by."""
    if _STATE.listening or threading.current_thread() is not threading.main_thread():
        return
    _STATE.listening = True
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=_watch, args=(reading,), daemon=True).start()
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _take)
    os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    """Let a copy of the process end as any other does."""
    if _STATE.listening:
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def _watch(reading: int) -> None:
    came = 0
    while True:
        for number in os.read(reading, 64):
            if number in SIGNALS:
                came += 1
                if came > 1 or _STATE.answer is None:
                    _end(number)


def _take(number: int, frame: FrameType | None) -> None:
    _STATE.came += 1
    if _STATE.answer is None or (_STATE.came > 1 and _STATE.listening):
        _end(number)
        return
    if _STATE.came > 1:
        raise Ended(number)
    _STATE.first = number
    _STATE.answer(number)


def _end(number: int) -> None:
    """End at once; no handler, no buffer and no thread is waited for."""
    if os.isatty(1):
        os.write(1, b"\x1b[?25h\n")  # A bar hides the cursor.
    name = signal.Signals(number).name
    os.write(2, f"ended by {name}; what was on the disk is whole.\n".encode())
    os._exit(128 + number)


def unwind(number: int) -> None:
    """Answer by ending what runs, so that it cleans up behind itself.

    Raises:
        Ended: always.
    """
    _STATE.raised = True
    raise Ended(number)


def unwound() -> int | None:
    """Return the signal that was answered by `unwind`; None: none.

    Libraries may turn the error into one of their own, or drop it.
    """
    return _STATE.first if _STATE.raised else None


@contextmanager
def answered(answer: Answer) -> Iterator[None]:
    """Answer the first signal in this way, until the block ends.

    Args:
        answer: given the number of the signal; called by the main thread.

    Raises:
        Ended: if a signal came before, and was dropped.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer, own = _STATE.answer, not _STATE.listening and _STATE.answer is None
    before = {}
    if own:  # Called as a function: what was there before comes back.
        _STATE.came, _STATE.first, _STATE.raised = 0, None, False
        before = {number: signal.signal(number, _take) for number in SIGNALS}
    try:
        _STATE.answer = answer
        dropped = unwound()
        if dropped is not None:
            raise Ended(dropped)
        yield
    finally:
        _STATE.answer = outer
        for number, handler in before.items():
            signal.signal(number, handler)
