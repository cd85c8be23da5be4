"""Text to tree, through the standard `ast` with a white list; never `eval`.

The text is untrusted: its length, depth and number of nodes are bounded before
anything walks it, every syntax node that is not expected is refused, and nothing
is executed.
"""

from __future__ import annotations

import ast
import math
import unicodedata
import warnings
from typing import NoReturn

from coloss.objective.errors import ObjectiveError
from coloss.objective.expression import (
    Binary,
    Edge,
    Expression,
    Name,
    Number,
    Port,
    as_port,
    edge,
    negative,
)
from coloss.objective.functions import FUNCTIONS, find, make_call
from coloss.objective.printer import OptionValue
from coloss.objective.reach import undefined

MAX_LENGTH = 4000
"""Longest text of an objective, in characters."""
MAX_DEPTH = 150
"""Deepest nesting; a sum of n terms is n - 1 deep."""

_OPERATORS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}


def parse(text: str) -> Expression:
    """Return the tree of an objective written as text.

    Args:
        text: such as `"w1*acoustic + w2*(acoustic - visual)"`. Line breaks count
            as spaces.

    Raises:
        ObjectiveError: where the text is not in the language; points at the column.
        TypeError: if `text` is no string.
    """
    if not isinstance(text, str):
        raise TypeError(f"An objective must be text; found {type(text).__name__}.")
    flat = _flatten(text)
    try:
        return _Builder(flat).build(_syntax_tree(flat).body, 1)
    except ObjectiveError as error:
        raise error.within(flat) from None


def _flatten(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise ObjectiveError(
            f"an objective may have at most {MAX_LENGTH} characters; found {len(text)}"
        )
    flat = "".join(" " if character in "\n\r\t" else character for character in text)
    if not flat.strip():
        raise ObjectiveError("the objective is empty; the simplest is one member name")
    quote = ""
    for column, character in enumerate(flat):
        odd = unicodedata.normalize("NFKC", character) != character
        # Without backslashes the next equal quote ends a layer's name.
        if character in ("'", '"') and quote in ("", character):
            quote = "" if quote else character
        refused = "\\" if quote else "#\\;"
        if odd or not character.isprintable() or character in refused:
            raise ObjectiveError(
                f"character {character!r} cannot stand in an objective",
                column=column,
                text=flat,
            )
    return flat


def _syntax_tree(flat: str) -> ast.Expression:
    # ast refuses leading spaces, so columns are shifted by what was stripped.
    lead = len(flat) - len(flat.lstrip())
    try:
        with warnings.catch_warnings():
            # Such as `1if`; whatever Python warns of is refused further down.
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(flat.strip(), mode="eval")
    except SyntaxError as error:
        column = None if error.offset is None else lead + max(0, error.offset - 1)
        raise ObjectiveError(
            f"not an expression: {error.msg}", column=column, text=flat
        ) from None
    except (RecursionError, MemoryError, ValueError):
        raise ObjectiveError("the expression is nested too deeply") from None


class _Builder:
    """Walks the syntax tree and builds ours; knows the text for columns."""

    def __init__(self, text: str) -> None:
        self._lead = len(text) - len(text.lstrip())
        self._bytes = text.strip().encode()

    def column(self, node: ast.AST) -> int:
        """Return the character column; `ast` counts bytes."""
        offset = getattr(node, "col_offset", 0)
        return self._lead + len(self._bytes[:offset].decode(errors="ignore"))

    def fail(self, node: ast.AST, reason: str) -> NoReturn:
        raise ObjectiveError(reason, column=self.column(node))

    def build(self, node: ast.AST, depth: int) -> Expression:
        """Return a value: anything but a port or an edge."""
        found = self.any(node, depth)
        if isinstance(found, Port | Edge):
            self.fail(
                node,
                f"`{found}` is a place in a network, not a number: use it inside a "
                "transfer term, such as distill(visual >> acoustic)",
            )
        return found

    def any(self, node: ast.AST, depth: int) -> Expression:
        """Return whatever the syntax node means, ports and edges included."""
        if depth > MAX_DEPTH:
            self.fail(node, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, ast.BinOp):
            return self.binary(node, depth)
        if isinstance(node, ast.UnaryOp):
            return self.unary(node, depth)
        if isinstance(node, ast.Constant):
            return Number(self.number(node))
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.Attribute | ast.Subscript):
            return self.port(node, depth)
        if isinstance(node, ast.Call):
            return self.call(node, depth)
        return self.fail(
            node,
            f"{type(node).__name__} is not part of the objective language (names, "
            "numbers, + - * / **, parentheses, >> and the listed functions are)",
        )

    def binary(self, node: ast.BinOp, depth: int) -> Expression:
        if isinstance(node.op, ast.RShift):
            return self.edge(node, depth)
        symbol = _OPERATORS.get(type(node.op))
        if symbol is None:
            self.fail(
                node,
                f"operator {type(node.op).__name__} is not part of the objective "
                "language; use + - * / ** or >>",
            )
        left = self.build(node.left, depth + 1)
        found = Binary(symbol, left, self.build(node.right, depth + 1))
        if undefined(found):
            self.fail(node, f"`{found}` has no finite value")
        return found

    def unary(self, node: ast.UnaryOp, depth: int) -> Expression:
        if not isinstance(node.op, ast.USub):
            self.fail(node, "the only sign before a term is the minus sign")
        return negative(self.build(node.operand, depth + 1))

    def number(self, node: ast.Constant) -> float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(node, f"expected a number, found {value!r}")
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            self.fail(node, "a number must be finite")
        return value

    def name(self, node: ast.Name) -> Name:
        if node.id in FUNCTIONS:
            self.fail(node, f"{node.id} is a function: write {node.id}(...)")
        return Name(node.id, None, self.column(node))

    def port(self, node: ast.Attribute | ast.Subscript, depth: int) -> Port:
        inner = self.any(node.value, depth + 1)
        if not isinstance(inner, Name | Port):
            self.fail(node, "a layer is named after a member, as in text.hidden")
        base = as_port(inner)
        if isinstance(node, ast.Attribute):
            return Port(base.member, (*base.path, node.attr), base.column)
        key = node.slice
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
            self.fail(node, 'a layer in brackets is a name in quotes: text["block/1"]')
        return Port(base.member, (*base.path, key.value), base.column)

    def edge(self, node: ast.BinOp, depth: int) -> Edge:
        many = isinstance(node.left, ast.Tuple)
        parts = node.left.elts if isinstance(node.left, ast.Tuple) else [node.left]
        if many and not parts:
            self.fail(node, "an edge needs at least one source")
        try:
            sources = tuple(as_port(self.any(part, depth + 1)) for part in parts)
            return edge(sources, self.any(node.right, depth + 1))
        except TypeError as error:
            self.fail(node, str(error))

    def call(self, node: ast.Call, depth: int) -> Expression:
        if not isinstance(node.func, ast.Name):
            self.fail(node, "only the functions of the language can be called")
        find(node.func.id, self.column(node))
        options: dict[str, OptionValue] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                self.fail(node, "** is not part of a call in the objective language")
            if keyword.arg in options:
                self.fail(keyword, f"option `{keyword.arg}` is given twice")
            options[keyword.arg] = self.option(keyword.value)
        arguments = [self.any(argument, depth + 1) for argument in node.args]
        return make_call(node.func.id, arguments, options, self.column(node))

    def option(self, node: ast.AST) -> OptionValue:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = node.operand
            if isinstance(inner, ast.Constant):
                return -self.number(inner)
        if not isinstance(node, ast.Constant):
            self.fail(node, "an option's value is a number, True, False or text")
        value = node.value
        if value is None or isinstance(value, bool | str):
            return value
        return self.number(node)
