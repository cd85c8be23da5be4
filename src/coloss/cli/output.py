"""What a command shows: tables and bars, plain lines, JSON lines, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from coloss.cli.errors import CliError
from coloss.run_folder import json_safe


class Output:
    """Where a command's words go.

    Args:
        json: whether to write one JSON object a line, and nothing else.
        quiet: whether to write errors only.
    """

    def __init__(self, json: bool = False, quiet: bool = False) -> None:
        """Look at where the words go."""
        self.json, self.quiet = json, quiet
        self.console = Console(quiet=json or quiet, highlight=False)
        self._errors = Console(stderr=True, highlight=False)

    def say(self, text: str = "") -> None:
        """Write a line as it is."""
        self.console.print(text, markup=False, soft_wrap=True)

    def title(self, text: str) -> None:
        """Write a heading."""
        self.console.print(f"[bold]{escape(text)}[/]", soft_wrap=True)

    def note(self, text: str) -> None:
        """Write a warning, to the standard error output."""
        if self.json:
            self.event("warning", message=text)
        elif not self.quiet:
            self._errors.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)

    def event(self, event: str, **fields: object) -> None:
        """Write a JSON line, where these are wanted."""
        if self.json:
            line = json.dumps(json_safe({"event": event, **fields}), default=str)
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Write a table."""
        drawn = Table(title=title, title_justify="left")
        for place, column in enumerate(columns):
            drawn.add_column(column, justify="left" if place == 0 else "right")
        for row in rows:
            drawn.add_row(*[escape(str(cell)) for cell in row])
        self.console.print(drawn)

    def error(self, error: CliError) -> None:
        """Write what went wrong, to the standard error output."""
        if self.json:
            self.event("error", messages=list(error.messages), note=error.note)
            return
        for message in error.messages:
            self._errors.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
        if error.note:
            self._errors.print(escape(error.note), soft_wrap=True)

    @contextmanager
    def progress(self, total: float, what: str) -> Iterator[Tracker]:
        """Show how far something is, with the time that is left.

        Args:
            total: of its unit.
            what: it is.
        """
        if self.json or self.quiet:
            yield Tracker()
        elif not self.console.is_terminal:
            yield _Lines(self, total, what)
        else:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[figures]}"),
            )
            with Progress(*columns, console=self.console) as bars:
                task = bars.add_task(what, total=total, figures="")
                yield _Bar(bars, task)


class Tracker:
    """Told of progress; this one shows nothing."""

    def step(self, done: float, figures: Mapping[str, float] | None = None) -> None:
        """Tell how much is done, and figures to show beside."""


class _Bar(Tracker):
    def __init__(self, bars: Progress, task: Any) -> None:
        self._bars, self._task = bars, task

    def step(self, done: float, figures: Mapping[str, float] | None = None) -> None:
        self._bars.update(self._task, completed=done)
        if figures is not None:
            self._bars.update(self._task, figures=told_figures(figures))


class _Lines(Tracker):
    """A line now and then: what a log file can hold."""

    SECONDS = 5.0

    def __init__(self, output: Output, total: float, what: str) -> None:
        self._output, self._total, self._what = output, total, what
        self._start, self._last = time.monotonic(), -self.SECONDS

    def step(self, done: float, figures: Mapping[str, float] | None = None) -> None:
        now = time.monotonic() - self._start
        if figures is None or (now - self._last < self.SECONDS and done < self._total):
            return
        self._last = now
        left = now / done * (self._total - done) if done else 0.0
        self._output.say(
            f"{self._what} {done:g}/{self._total:g}, {left:.0f} s left: "
            f"{told_figures(figures)}"
        )


def told_figures(figures: Mapping[str, float]) -> str:
    """Return numbers with their names."""
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
