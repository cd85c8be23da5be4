"""The progress bar of a study: epochs done, and the time left."""

from __future__ import annotations

from types import TracebackType

from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class StudyProgress:
    """A bar in the terminal while a study runs; nothing where there is none.

    Args:
        epochs: to be trained, over all runs.
        shown: whether to draw it.

    Attributes:
        done: epochs so far.
    """

    def __init__(self, epochs: int, shown: bool) -> None:
        """Draw nothing yet."""
        self.done = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            # A population reports once an epoch of all its runs: the pace of the
            # last half minute would jump.
            TimeRemainingColumn(),
            speed_estimate_period=600.0,
            transient=True,
            disable=not shown or not epochs,
        )
        self._task = self._bar.add_task("training", total=epochs)

    def arm(self, name: str) -> None:
        """Say which arm is trained now."""
        self._bar.update(self._task, description=f"training: {escape(name)}")

    def __call__(self, epochs: float) -> None:
        """Count so many epochs, over all runs."""
        self.done += epochs
        self._bar.advance(self._task, epochs)

    def __enter__(self) -> StudyProgress:
        """Start to draw."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bar.stop()
