"""What messages say of names and numbers of things."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence


def nearest_name(name: object, valid: Iterable[str]) -> str | None:
    """Return the valid name that is spelled most like `name`, or None."""
    candidates, text = list(valid), str(name)
    close = difflib.get_close_matches(text, candidates, n=1, cutoff=0.55)
    if close:
        return close[0]
    folded = {candidate.lower(): candidate for candidate in candidates}
    return folded.get(text.lower())


def nearest(name: object, valid: Iterable[str]) -> str:
    """Return `; did you mean '...'?` for the nearest valid name, or nothing."""
    found = nearest_name(name, valid)
    return f"; did you mean {found!r}?" if found else ""


def unknown(kind: str, name: object, valid: Iterable[str]) -> str:
    """Return the sentence that refuses a name.

    Args:
        kind: what it should name, such as "member"; its plural is made with an s.
        name: what was given.
        valid: the names that exist.

    Returns:
        Such as "no member 'txt'; did you mean 'text'? (members: text, visual)".
    """
    names = list(valid)
    known = ", ".join(names) or "none"
    return f"no {kind} {name!r}{nearest(name, names)} ({kind}s: {known})"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 row", "2 rows", "3 classes"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


def beaten_words(
    arm: str, found: Mapping[str, Sequence[str]], quotes: tuple[str, str] = ("'", "'")
) -> str:
    """Return which of its rivals an arm of a study beat, as a sentence.

    Args:
        arm: its name.
        found: the names of those it `beats`, and of those it does `not`.
        quotes: the two marks that a name stands between.

    Examples:
        >>> beaten_words("taught", {"beats": ["alone", "twin"], "not": []})
        "'taught' beats 'alone' and 'twin'."
    """
    first, last = quotes

    def quoted(names: Sequence[str]) -> str:
        *before, end = [f"{first}{name}{last}" for name in names]
        return f"{', '.join(before)} and {end}" if before else end

    words = f"{first}{arm}{last} beats {quoted(found['beats'])}"
    if found["not"]:
        words += f", not {quoted(found['not'])}"
    if "twin" in found["not"]:
        words += ": that the gain comes from what the helpers see is not shown"
    return f"{words}."
