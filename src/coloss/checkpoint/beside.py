"""Work that is done beside the training, one piece at a time."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

BACK = 5
"""Steps of priority below the training: about a third of its share of a processor."""


class Beside:
    """Runs one piece of work at a time in a thread of its own.

    What goes wrong in it is raised in the thread that asks next. The thread is waited
    for before Python ends.
    """

    def __init__(self) -> None:
        """Start without work."""
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, work: Callable[[], object]) -> None:
        """Begin a piece of work, as soon as the one before is done.

        Args:
            work: reads nothing that is changed meanwhile.

        Raises:
            BaseException: what the one before raised; then nothing is begun.
        """
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(work,))
        self._thread.start()

    def check(self) -> None:
        """Raise what work raised that is done already; does not wait."""
        if self._thread is not None and not self._thread.is_alive():
            self.wait()

    def wait(self) -> None:
        """Wait until there is no work, and raise what it raised."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, work: Callable[[], object]) -> None:
        _step_back()
        try:
            work()
        except BaseException as error:
            self._error = error


def _step_back() -> None:
    """Leave the processors to the training, where a thread has a priority of its own.

    Not the lowest: a training that has its next checkpoint waits for this one.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # A system may forbid it.
            present = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, 0, present + BACK)
