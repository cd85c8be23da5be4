"""Work that is done beside the training, one piece at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable


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
        try:
            work()
        except BaseException as error:
            self._error = error
