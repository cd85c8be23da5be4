"""An objective as LaTeX, as it would stand in a paper."""

from __future__ import annotations

import re

from coloss.objective.expression import (
    Binary,
    Call,
    Edge,
    Expression,
    Name,
    Negative,
    Number,
    Port,
)
from coloss.objective.functions import FUNCTIONS
from coloss.objective.printer import ATOM, POWER, PRODUCT, SUM, OptionValue, number_text
from coloss.objective.words import TRANSFER, Notation, Pointwise

_GREEK = (
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|mu|nu|xi|pi|rho|sigma|tau|"
    "upsilon|phi|chi|psi|omega"
)
_SYMBOL = re.compile(rf"(?P<head>[A-Za-z]|{_GREEK})(?P<tail>_\w+|\d*)")
_ESCAPES = {
    "\\": r"\backslash{}",
    "^": r"{\wedge}",
    "~": r"{\sim}",
    " ": r"\ ",
    **{character: f"\\{character}" for character in "_%#&${}"},
}
_BINARY = {
    # operator: (own precedence, least precedence left, least right)
    "+": (SUM, SUM, PRODUCT),
    "-": (SUM, SUM, PRODUCT),
    "*": (PRODUCT, PRODUCT, POWER),
}


def to_latex(node: Expression) -> str:
    r"""Return the node as LaTeX, without surrounding dollar signs.

    A member is its loss, `\mathcal{L}_{\mathrm{acoustic}}`. Until an objective is
    bound, a name that looks like a symbol (`w1`, `alpha`, `w_text`) counts as a
    coefficient and every other name as a member.
    """
    return _latex(node)[0]


def _latex(node: Expression) -> tuple[str, int]:
    if isinstance(node, Binary):
        return _operation(node)
    if isinstance(node, Negative):
        return f"-{_wrap(node.operand, PRODUCT)}", SUM
    if isinstance(node, Number):
        text = _number(node.value)
        if text.startswith("-"):
            return text, SUM
        return text, ATOM if text.replace(".", "").isdigit() else PRODUCT
    if isinstance(node, Name):
        return _name(node), ATOM
    if isinstance(node, Port):
        return _place(node), ATOM
    if isinstance(node, Edge):
        return _edge(node), SUM
    if isinstance(node, Call):
        return _call(node)
    raise TypeError(f"Not a node of the objective language: {node!r}.")


def _operation(node: Binary) -> tuple[str, int]:
    if node.operator == "/":
        return rf"\frac{{{to_latex(node.left)}}}{{{to_latex(node.right)}}}", PRODUCT
    if node.operator == "**":
        return f"{_wrap(node.left, ATOM)}^{{{to_latex(node.right)}}}", POWER
    precedence, left, right = _BINARY[node.operator]
    first, second = _wrap(node.left, left), _wrap(node.right, right)
    if node.operator == "*":
        return first + (
            r" \cdot " if second[0].isdigit() else r"\,"
        ) + second, precedence
    return f"{first} {node.operator} {second}", precedence


def _wrap(node: Expression, least: int) -> str:
    text, precedence = _latex(node)
    return text if precedence >= least else rf"\left({text}\right)"


def _number(value: float) -> str:
    mantissa, _, exponent = number_text(value).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def _name(node: Name) -> str:
    symbol = _SYMBOL.fullmatch(node.identifier)
    if node.role == "member" or (node.role is None and symbol is None):
        return rf"\mathcal{{L}}_{{{_upright(node.identifier)}}}"
    if symbol is None:
        return _upright(node.identifier)
    head, tail = symbol["head"], symbol["tail"]
    head = rf"\{head}" if len(head) > 1 else head
    if not tail:
        return head
    return f"{head}_{{{tail if tail.isdigit() else _upright(tail.lstrip('_'))}}}"


def _upright(text: str) -> str:
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    return rf"\mathrm{{{escaped}}}"


def _place(node: Port) -> str:
    return _upright(".".join((node.member, *node.path)))


def _edge(node: Edge) -> str:
    sources = ", ".join(_place(source) for source in node.sources)
    if len(node.sources) > 1:
        sources = rf"\left({sources}\right)"
    return rf"{sources} \to {_place(node.learner)}"


def _call(node: Call) -> tuple[str, int]:
    function = FUNCTIONS[node.function]
    arguments = ", ".join(
        # A member in a term is the network, not its loss.
        _upright(argument.identifier)
        if function.kind == TRANSFER and isinstance(argument, Name)
        else to_latex(argument)
        for argument in node.arguments
    )
    options = "".join(
        rf";\, {_upright(name)} = {_option(value)}" for name, value in node.options
    )
    around = function.latex if isinstance(function, Pointwise) else None
    if around is None:
        word = _upright(node.function).replace("mathrm", "operatorname", 1)
        around = Notation(rf"{word}\left(", r"\right)")
    return f"{around.opened}{arguments}{options}{around.closed}", around.precedence


def _option(value: OptionValue) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(float(value))
    return _upright(str(value))
