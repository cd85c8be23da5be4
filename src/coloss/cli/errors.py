"""What ends a command early, and the exit codes."""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Exit(enum.IntEnum):
    """Exit codes of `coloss`."""

    OK = 0
    """Everything was done."""
    FAILED = 1
    """Training, export or a self-test failed; what was trained so far is kept."""
    WRONG = 2
    """Wrong use, configuration or data; nothing was trained, nothing written."""
    INTERRUPTED = 130
    """Ctrl-C; what was trained so far is saved and can be used."""
    TERMINATED = 143
    """The same, by SIGTERM."""


class CliError(Exception):
    """A sentence for the user, and the exit code. Never shown with a traceback.

    Attributes:
        messages: one or more findings.
        code: the exit code.
    """

    def __init__(
        self, *messages: str, code: Exit = Exit.WRONG, note: str | None = None
    ) -> None:
        """Store the findings.

        Args:
            messages: one or more findings, each complete in itself.
            code: the exit code.
            note: what to do, for all of them.
        """
        self.messages: Sequence[str] = messages
        self.code, self.note = code, note
        super().__init__("\n".join([*messages, *([note] if note else [])]))
