"""An objective as MathML, which browsers draw and read aloud without a script."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from coloss.objective import Objective
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
from coloss.objective.words import TRANSFER, Pointwise

_SYMBOL = re.compile(r"(?P<head>[A-Za-z]+?)_?(?P<tail>\d*)")
_BINARY = {
    # operator: (own precedence, least precedence left, least right, sign)
    "+": (SUM, SUM, PRODUCT, "+"),
    "-": (SUM, SUM, PRODUCT, "\u2212"),
    "*": (PRODUCT, PRODUCT, POWER, "\u2062"),
}


def formula(
    objective: str | Objective, members: Iterable[str], coefficients: Iterable[str]
) -> list[str]:
    """Return an objective's summands as MathML, each with its sign in front.

    One by one, so that a long formula can be broken between them.

    Args:
        objective: text, or an objective.
        members: the networks' names.
        coefficients: the coefficients' names.

    Raises:
        ObjectiveError: if the text is no objective of these.
    """
    bound = Objective(objective).bind(tuple(members), tuple(coefficients))
    parts = []
    for place, summand in enumerate(bound.summands):
        negative, body = _sign(summand)
        sign = "\u2212" if negative else ("+" if place else "")
        before = f'<mo form="infix">{sign}</mo>' if place else _operator(sign)
        parts.append(_math((before if sign else "") + _wrap(body, PRODUCT)))
    return parts


def to_mathml(node: Expression) -> str:
    """Return one expression as a MathML element."""
    return _math(_mathml(node)[0])


def _math(inner: str) -> str:
    return f"<math><mrow>{inner}</mrow></math>"


def _sign(node: Expression) -> tuple[bool, Expression]:
    """Return whether a summand begins with a minus, and what follows it."""
    if isinstance(node, Negative):
        return True, node.operand
    if isinstance(node, Number) and node.value < 0:
        return True, Number(-node.value)
    return False, node


def _operator(sign: str) -> str:
    return f"<mo>{html.escape(sign)}</mo>"


def _mathml(node: Expression) -> tuple[str, int]:
    if isinstance(node, Binary):
        return _operation(node)
    if isinstance(node, Negative):
        return f"{_operator(chr(0x2212))}{_wrap(node.operand, PRODUCT)}", SUM
    if isinstance(node, Number):
        below_zero = node.value < 0
        return _number(node.value), SUM if below_zero else ATOM
    if isinstance(node, Name):
        return _name(node), ATOM
    if isinstance(node, Port):
        return _word(".".join((node.member, *node.path))), ATOM
    if isinstance(node, Edge):
        return _edge(node), SUM
    if isinstance(node, Call):
        return _call(node), ATOM
    raise TypeError(f"Not a node of the objective language: {node!r}.")


def _number(value: float) -> str:
    mantissa, _, exponent = number_text(value).replace("-", "\u2212").partition("e")
    if not exponent:
        return f"<mn>{mantissa}</mn>"
    sign = "\u2212" if exponent.startswith("\u2212") else ""
    power = f"<mn>{sign}{exponent.lstrip(chr(0x2212) + '+0')}</mn>"
    return f"<mn>{mantissa}</mn>{_operator(chr(0x22C5))}<msup><mn>10</mn>{power}</msup>"


def _operation(node: Binary) -> tuple[str, int]:
    if node.operator == "/":
        over, under = _row(node.left), _row(node.right)
        return f"<mfrac>{over}{under}</mfrac>", PRODUCT
    if node.operator == "**":
        base = f"<mrow>{_wrap(node.left, ATOM)}</mrow>"
        return f"<msup>{base}{_row(node.right)}</msup>", POWER
    precedence, left, right, sign = _BINARY[node.operator]
    if sign == "\u2062" and isinstance(node.right, Number):
        sign = "\u22c5"  # `w 2` would read as a name.
    first, second = _wrap(node.left, left), _wrap(node.right, right)
    # Room between a factor and a word.
    room = sign == "\u2062" and isinstance(node.right, Call)
    space = '<mspace width="0.2em"></mspace>' if room else ""
    return f"{first}{_operator(sign)}{space}{second}", precedence


def _row(node: Expression) -> str:
    return f"<mrow>{_mathml(node)[0]}</mrow>"


def _wrap(node: Expression, least: int) -> str:
    text, precedence = _mathml(node)
    return text if precedence >= least else f"{_fenced(text)}"


def _fenced(inner: str) -> str:
    return f"<mrow>{_operator('(')}{inner}{_operator(')')}</mrow>"


def _word(text: str) -> str:
    return f'<mi mathvariant="normal">{html.escape(text)}</mi>'


def _name(node: Name) -> str:
    if node.role == "member":
        return f"<msub><mi>\u2112</mi>{_word(node.identifier)}</msub>"
    symbol = _SYMBOL.fullmatch(node.identifier)
    if symbol is None or not symbol["tail"]:
        return f"<mi>{html.escape(node.identifier)}</mi>"
    return f"<msub><mi>{symbol['head']}</mi><mn>{symbol['tail']}</mn></msub>"


def _edge(node: Edge) -> str:
    sources = _operator(",").join(_mathml(source)[0] for source in node.sources)
    if len(node.sources) > 1:
        sources = _fenced(sources)
    return f"{sources}{_operator(chr(0x2192))}{_mathml(node.learner)[0]}"


def _call(node: Call) -> str:
    function = FUNCTIONS[node.function]
    arguments = [
        # A member in a term is the network, not its loss.
        _word(argument.identifier)
        if function.kind == TRANSFER and isinstance(argument, Name)
        else _mathml(argument)[0]
        for argument in node.arguments
    ]
    inside = _operator(",").join(arguments)
    for name, value in node.options:
        inside += f"{_operator(';')}{_word(name)}{_operator('=')}{_option(value)}"
    if isinstance(function, Pointwise) and function.mathml is not None:
        return f"{function.mathml.opened}{inside}{function.mathml.closed}"
    return f"{_word(node.function)}{_operator(chr(0x2061))}{_fenced(inside)}"


def _option(value: OptionValue) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(float(value))
    return f"<mtext>{html.escape(str(value))}</mtext>"
