"""How many steps go into a block: as many as take half a second."""

from __future__ import annotations

SECONDS = 0.5
"""That a block may take: Ctrl-C, the progress bar and callbacks wait for its end."""

FIRST = 8
"""Steps of the first block that is measured."""

GROWTH = 16
"""Times the longest block so far that a block may have: estimates err."""


class Pace:
    """Measures steps, and says where the next block ends.

    The results do not depend on it, to the last bit.

    Attributes:
        steps: in every block, whatever was measured; None: as measured.
        started: whether the program was run before.
    """

    def __init__(self) -> None:
        """Start without a measurement."""
        self.steps: int | None = None
        self.started = False
        self._seconds: float | None = None
        self._longest = 1

    def stop(self, start: int, end: int) -> int:
        """Return the step before which a block ends.

        Args:
            start: the first step of the block.
            end: of the epoch, above `start`.
        """
        return min(end, start + max(1, self.steps or self._fitting()))

    def _fitting(self) -> int:
        if not self.started:
            return 1  # It waits for the compiler, and tells nothing of a step.
        if self._seconds is None:
            return FIRST
        fit = SECONDS / max(self._seconds, 1e-9)
        return int(min(fit, GROWTH * self._longest))

    def measured(self, steps: int, seconds: float) -> None:
        """Take in the time of a block.

        Args:
            steps: in it.
            seconds: from its start until its logs were there.
        """
        if not self.started:
            self.started = True
            return
        self._seconds = seconds / steps
        self._longest = max(self._longest, steps)
