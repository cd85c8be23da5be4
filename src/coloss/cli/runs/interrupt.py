"""A training that somebody asks to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coloss.cli import signals
from coloss.cli.output import Output


class Interrupt:
    """Ends a training after the present step when the user or the system asks.

    Args:
        output: told of it.
        leave: called when somebody asks, between two instructions of Python.

    Attributes:
        signal: the signal that came; None: none.
    """

    def __init__(self, output: Output, leave: Callable[[], None]) -> None:
        """Wait for nothing yet."""
        self._output, self._leave = output, leave
        self.signal: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM as a wish to end; the second one ends at once."""
        with signals.answered(self._asked):
            yield

    def _asked(self, number: int) -> None:
        self.signal = number
        self._leave()
        self._output.note(
            "ending after this step, and saving what was trained; once more ends now"
        )
