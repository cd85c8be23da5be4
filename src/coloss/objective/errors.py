"""What is wrong with an objective, and where."""

from __future__ import annotations


class ObjectiveError(ValueError):
    """An objective that cannot be used. Raised before any training.

    Attributes:
        reason: the sentence without the picture of the text.
        column: position of the fault in the text, from 0; None when unknown.
    """

    def __init__(
        self, reason: str, *, column: int | None = None, text: str | None = None
    ) -> None:
        """Store the reason and, where known, point at the column."""
        self.reason, self.column, self.text = reason, column, text
        message = reason if reason.endswith((".", "?", ")")) else f"{reason}."
        if text is not None and column is not None:
            message += f"\n  at column {column + 1}\n{_pointer(text, column)}"
        super().__init__(message)

    def within(self, text: str) -> ObjectiveError:
        """Return the same error with the text in which it occurred."""
        return type(self)(self.reason, column=self.column, text=text)


class ObjectiveWarning(UserWarning):
    """What was asked for is well formed, and does what its author hardly wants.

    Such as an objective that trains a member to fail, a last layer that is not what
    the loss expects, or labels that are all of one class.
    """


class DataWarning(ObjectiveWarning):
    """Of an objective and its data nothing, or next to nothing, can be learned."""


def _pointer(text: str, column: int, width: int = 72) -> str:
    flat = text.replace("\n", " ").replace("\t", " ")
    start = max(0, column - width // 2)
    piece = flat[start : start + width]
    lead = "..." if start else ""
    return f"  {lead}{piece}\n  {' ' * (len(lead) + column - start)}^"
