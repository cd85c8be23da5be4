"""The expression tree of a joint loss: pure data, no network, no Keras.

A tree is written as text (`coloss.objective.parser`) or with Python operators on
`loss("acoustic")` and `coefficient("w1")`. Both spellings give equal trees. Nodes
are frozen, hashable and compare by structure; positions in the source text and
the role of a name (member or coefficient) take no part in the comparison.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from coloss.objective.printer import (
    ATOM,
    OPERATORS,
    SUM,
    UNARY,
    OptionValue,
    Spelled,
    layer_text,
    literal_text,
    option_text,
    wrapped,
)

Operand: TypeAlias = "Expression | float"
"""What the operators of the language take."""

Sources: TypeAlias = "_End | tuple[_End, ...]"
"""What may stand before `>>`."""


class Expression:
    """Abstract node. Supplies the operators of the objective language."""

    __slots__ = ()

    def __add__(self, other: Operand) -> Expression:
        """Return `self + other`."""
        return _binary("+", self, other)

    def __radd__(self, other: Operand) -> Expression:
        """Return `other + self`, so that `sum([...])` works too."""
        return _binary("+", other, self)

    def __sub__(self, other: Operand) -> Expression:
        """Return `self - other`."""
        return _binary("-", self, other)

    def __rsub__(self, other: Operand) -> Expression:
        """Return `other - self`."""
        return _binary("-", other, self)

    def __mul__(self, other: Operand) -> Expression:
        """Return `self * other`."""
        return _binary("*", self, other)

    def __rmul__(self, other: Operand) -> Expression:
        """Return `other * self`."""
        return _binary("*", other, self)

    def __truediv__(self, other: Operand) -> Expression:
        """Return `self / other`."""
        return _binary("/", self, other)

    def __rtruediv__(self, other: Operand) -> Expression:
        """Return `other / self`."""
        return _binary("/", other, self)

    def __pow__(self, other: Operand) -> Expression:
        """Return `self ** other`."""
        return _binary("**", self, other)

    def __rpow__(self, other: Operand) -> Expression:
        """Return `other ** self`."""
        return _binary("**", other, self)

    def __neg__(self) -> Expression:
        """Return `-self`."""
        return negative(self)

    def __str__(self) -> str:
        """Return text that parses back to this tree."""
        return self._spelled()[0]

    def _spelled(self) -> Spelled:
        """Return the text with the fewest parentheses, and how tightly it binds."""
        raise NotImplementedError

    @property
    def children(self) -> tuple[Expression, ...]:
        """The node's operands, in order."""
        return ()

    def walk(self) -> Iterator[Expression]:
        """Yield this node and all nodes below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, repr=False)
class Number(Expression):
    """A finite literal, such as the `2` of `2*acoustic`."""

    value: float

    def __post_init__(self) -> None:
        """Refuse values that no loss can be multiplied by."""
        if not math.isfinite(self.value):
            raise ValueError(f"A number must be finite; found {self.value!r}.")

    def _spelled(self) -> Spelled:
        """Return the text, and how tightly it binds."""
        return literal_text(self.value)

    def __repr__(self) -> str:
        """Return the node's name and value."""
        return f"Number({self.value!r})"


class _End(Expression):
    """What may stand at an end of an edge: a member, or a place in it."""

    __slots__ = ()

    def __getattr__(self, layer: str) -> Port:
        """Return the port of a layer one level deeper."""
        _check_layer(layer)
        return self[layer]

    def __getitem__(self, layer: str) -> Port:
        """Return the port of a layer whose name is no identifier."""
        base = as_port(self)
        return Port(base.member, (*base.path, layer))

    def __rshift__(self, learner: _End) -> Edge:
        """Return the edge `self >> learner`."""
        return edge(self, learner)

    def __rrshift__(self, sources: Sources) -> Edge:
        """Return the edge of a tuple of sources to this learner."""
        return edge(sources, self)


@dataclass(frozen=True, repr=False)
class Port(_End):
    """A place in a member: its output (`path` empty) or a layer's output.

    `text.encoder.block_1` is `Port("text", ("encoder", "block_1"))`.
    """

    member: str
    path: tuple[str, ...]
    column: int | None = field(default=None, compare=False)

    def _spelled(self) -> Spelled:
        """Return the text, and how tightly it binds."""
        return self.member + "".join(map(layer_text, self.path)), ATOM

    def __repr__(self) -> str:
        """Return the node's name and text."""
        return f"Port({str(self)!r})"


@dataclass(frozen=True, repr=False)
class Name(_End):
    """A member's loss or a coefficient; which of the two is known when bound."""

    identifier: str
    role: str | None = field(default=None, compare=False)
    column: int | None = field(default=None, compare=False)

    def _spelled(self) -> Spelled:
        """Return the text, and how tightly it binds."""
        return self.identifier, ATOM

    def __repr__(self) -> str:
        """Return the node's name and identifier."""
        return f"Name({self.identifier!r})"


@dataclass(frozen=True, repr=False)
class Negative(Expression):
    """Unary minus."""

    operand: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """The operand."""
        return (self.operand,)

    def _spelled(self) -> Spelled:
        """Return the text, and how tightly it binds."""
        return f"-{wrapped(self.operand._spelled(), UNARY)}", UNARY

    def __repr__(self) -> str:
        """Return the node's name and operand."""
        return f"Negative({self.operand!r})"


@dataclass(frozen=True, repr=False)
class Binary(Expression):
    """One of `+ - * / **` with its two operands."""

    operator: str
    left: Expression
    right: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """Left and right operand."""
        return (self.left, self.right)

    def _spelled(self) -> Spelled:
        """Return the text, and how tightly it binds."""
        precedence, left, right, sign = OPERATORS[self.operator]
        first = wrapped(self.left._spelled(), left)
        return f"{first}{sign}{wrapped(self.right._spelled(), right)}", precedence

    def __repr__(self) -> str:
        """Return the operator and both operands."""
        return f"Binary({self.operator!r}, {self.left!r}, {self.right!r})"


@dataclass(frozen=True, repr=False)
class Edge(Expression):
    """`sources >> learner`: the sources teach the learner."""

    sources: tuple[Port, ...]
    learner: Port

    @property
    def children(self) -> tuple[Expression, ...]:
        """The sources, then the learner."""
        return (*self.sources, self.learner)

    def _spelled(self) -> Spelled:
        """Return the text, and how tightly it binds."""
        sources = ", ".join(map(str, self.sources))
        if len(self.sources) > 1:
            sources = f"({sources})"
        return f"{sources} >> {self.learner}", SUM

    def __repr__(self) -> str:
        """Return the node's name and text."""
        return f"Edge({str(self)!r})"


@dataclass(frozen=True, repr=False)
class Call(Expression):
    """A function of the language with its arguments and keyword options."""

    function: str
    arguments: tuple[Expression, ...]
    options: tuple[tuple[str, OptionValue], ...] = ()
    column: int | None = field(default=None, compare=False)

    @property
    def children(self) -> tuple[Expression, ...]:
        """The positional arguments."""
        return self.arguments

    def option(self, name: str, default: OptionValue = None) -> Any:
        """Return a keyword option's value, or `default`."""
        return dict(self.options).get(name, default)

    def _spelled(self) -> Spelled:
        """Return the text, and how tightly it binds."""
        parts = [str(argument) for argument in self.arguments]
        parts += [f"{name}={option_text(value)}" for name, value in self.options]
        return f"{self.function}({', '.join(parts)})", ATOM

    def __repr__(self) -> str:
        """Return the function and its arguments."""
        return f"Call({self.function!r}, {self.arguments!r}, {self.options!r})"


def as_expression(value: object) -> Expression:
    """Return `value` as a node; numbers become `Number`.

    Raises:
        TypeError: if the value is neither a node nor a real number.
    """
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(
            "An objective is built from coloss.loss(...), coloss.coefficient(...) "
            f"and numbers; found {value!r} of type {type(value).__name__}."
        )
    return Number(float(value))


def negative(operand: Expression) -> Expression:
    """Return `-operand`; a negated number is one number, as in Python."""
    if isinstance(operand, Number):
        return Number(-operand.value)
    return Negative(as_value(operand))


def edge(sources: Sources, learner: object) -> Edge:
    """Return the edge `sources >> learner`.

    Args:
        sources: a name, a port, or a tuple of these.
        learner: a name or a port.
    """
    many = sources if isinstance(sources, tuple) else (sources,)
    return Edge(tuple(as_port(source) for source in many), as_port(learner))


def as_port(value: object) -> Port:
    """Return a name or port as a port.

    Raises:
        TypeError: if the value is something else, such as a sum of losses.
    """
    if isinstance(value, Port):
        return value
    if isinstance(value, Name):
        return Port(value.identifier, (), value.column)
    raise TypeError(
        "Each end of `>>` must be a member or a layer of a member, such as "
        f"`visual` or `visual.hidden`; found `{value}`."
    )


def loss(member: str) -> Name:
    """Return a member's supervised loss, to build an objective with operators.

    Args:
        member: the member's name, an identifier.

    Examples:
        >>> import coloss
        >>> str(2 * coloss.loss("acoustic") - coloss.loss("visual"))
        '2*acoustic - visual'
    """
    return Name(check_identifier(member, "member"), "member")


def coefficient(name: str) -> Name:
    """Return a named coefficient, to build an objective with operators.

    Args:
        name: the coefficient's name, an identifier.

    Examples:
        >>> import coloss
        >>> str(coloss.coefficient("w1") * coloss.loss("acoustic"))
        'w1*acoustic'
    """
    return Name(check_identifier(name, "coefficient"), "coefficient")


def check_identifier(name: object, kind: str) -> str:
    """Return `name` if it can stand in an objective.

    Raises:
        ValueError: if it is no identifier, or a Python keyword.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"A {kind} name must be an identifier (letters, digits and _, not "
            f"beginning with a digit, no Python keyword); found {name!r}."
        )
    return name


def _binary(operator: str, left: Operand, right: Operand) -> Expression:
    first, second = as_value(as_expression(left)), as_value(as_expression(right))
    return Binary(operator, first, second)


def as_value(node: Expression) -> Expression:
    """Refuse ports and edges where a number is needed."""
    if isinstance(node, Port | Edge):
        raise TypeError(
            f"`{node}` is a place in a network, not a number: use it inside a "
            "transfer term, such as distill(visual >> acoustic)."
        )
    return node


def _check_layer(layer: str) -> None:
    # Python asks objects for protocol methods such as `__deepcopy__` and
    # `_repr_html_`, also on objects without fields yet; these must fail, not
    # become layers.
    if layer.startswith("_"):
        raise AttributeError(layer)
