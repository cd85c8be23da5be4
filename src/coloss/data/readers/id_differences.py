"""Ids that mean the same rows and are written differently."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from coloss.names import counted


class IdDifference(NamedTuple):
    """How the ids of two files differ.

    Attributes:
        number: ids that are the same but for this.
        example: one of them, as both files write it.
        how: what differs, such as "the ending".
    """

    number: int
    example: tuple[str, str]
    how: str

    def __str__(self) -> str:
        """Say it as a sentence without its end."""
        ours, theirs = self.example
        return (
            f"your ids are written differently: {ours!r} here is {theirs!r} there "
            f"({self.how}; {counted(self.number, 'id')}). Write them alike in one of "
            "the files"
        )


def _number(text: str) -> str:
    """Return an id without zeros in front of numbers, and without `.0` behind."""
    whole = re.sub(r"^([+-]?\d+)\.0+$", r"\1", text)
    return re.sub(r"\d+", lambda found: str(int(found[0])), whole)


_WAYS: dict[str, Callable[[str], str]] = {
    "spaces around": str.strip,
    "capital and small letters": str.casefold,
    "the folder in front": lambda text: re.split(r"[/\\]", text)[-1],
    "the ending": lambda text: re.sub(r"\.[A-Za-z][A-Za-z0-9]{0,4}$", "", text),
    "zeros, or .0": _number,
    "quotes": lambda text: text.strip("'\""),
    "signs between": lambda text: re.sub(r"[\s_\-.]+", "_", text),
}


def id_difference(ids: Collection[str], others: Collection[str]) -> IdDifference | None:
    """Return how ids are written differently from others that mean the same.

    Args:
        ids: of one file, of which `others` has none or few.
        others: of another file.

    Returns:
        None, unless half of the `ids` that the others lack are the same as one of them
        but for letters' case, endings, folders, zeros, quotes, or signs between.
    """
    known = set(others)
    lost = [text for text in dict.fromkeys(ids) if text not in known]
    if not lost:
        return None
    for how, way in _WAYS.items():
        found = _matched(lost, known, [way])
        if len(found) * 2 >= len(lost):
            return IdDifference(len(found), found[0], how)
    found = _matched(lost, known, list(_WAYS.values()))
    if len(found) * 2 < len(lost):
        return None
    needed = [how for how, way in _WAYS.items() if any(_changes(way, p) for p in found)]
    return IdDifference(len(found), found[0], ", ".join(needed))


def _changes(way: Callable[[str], str], pair: tuple[str, str]) -> bool:
    return any(way(text) != text for text in pair)


def _matched(
    ids: list[str], others: Collection[str], ways: list[Callable[[str], str]]
) -> list[tuple[str, str]]:
    """Return pairs that are one and the same id when written in `ways`.

    Ids that become equal to each other are none: which is meant cannot be known.
    """
    ours, theirs = _written(ids, ways), _written(others, ways)
    return [
        (these[0], theirs[text][0])
        for text, these in ours.items()
        if len(these) == 1 and len(theirs.get(text, ())) == 1
    ]


def _written(
    ids: Collection[str], ways: list[Callable[[str], str]]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id in ids:
        text = id
        for way in ways:
            text = way(text)
        found.setdefault(text, []).append(id)
    return found
