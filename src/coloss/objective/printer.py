"""Pieces of the text that parses back to the same tree, and how tightly they bind."""

from __future__ import annotations

import json
import keyword

SUM, PRODUCT, UNARY, POWER, ATOM = 1, 2, 3, 4, 5
"""Precedences: what binds less tightly than its place needs gets parentheses."""

OPERATORS = {
    # operator: (own precedence, least precedence left, least right, text)
    "+": (SUM, SUM, PRODUCT, " + "),
    "-": (SUM, SUM, PRODUCT, " - "),
    "*": (PRODUCT, PRODUCT, UNARY, "*"),
    "/": (PRODUCT, PRODUCT, UNARY, "/"),
    "**": (POWER, ATOM, UNARY, "**"),
}

OptionValue = float | int | bool | str | None

Spelled = tuple[str, int]
"""Text, and its precedence."""


def wrapped(spelled: Spelled, least: int) -> str:
    """Return text, in parentheses where it binds less tightly than needed."""
    text, precedence = spelled
    return text if precedence >= least else f"({text})"


def number_text(value: float) -> str:
    """Return a number without a needless `.0`."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def literal_text(value: float) -> Spelled:
    """Return a number of the tree; a negative one binds as a minus sign does."""
    text = "-0" if str(value) == "-0.0" else number_text(value)
    return text, UNARY if text.startswith("-") else ATOM


def layer_text(name: str) -> str:
    """Return a step into a member: `.hidden`, or `["block/1"]` for odd names."""
    plain = name.isidentifier() and not keyword.iskeyword(name)
    # A leading underscore is reachable only with brackets in Python's spelling.
    if plain and not name.startswith("_"):
        return f".{name}"
    quote = "'" if '"' in name else '"'
    return f"[{quote}{name}{quote}]"


def option_text(value: OptionValue) -> str:
    """Return the value of a keyword option."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool) or value is None:
        return str(value)
    return number_text(float(value))
