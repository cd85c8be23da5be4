"""The words of the objective language: what each is called and what it takes.

One table, read by the parser, the diagnosis and the evaluation. The entries of the
functions of numbers stand in `coloss.objective.pointwise`. What a transfer term
computes lives in `coloss.transfer`, under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from coloss.checking import FINITE, NOT_NEGATIVE, POSITIVE, NumberRule
from coloss.names import nearest, unknown
from coloss.objective.errors import ObjectiveError
from coloss.objective.expression import (
    Call,
    Edge,
    Expression,
    Name,
    as_expression,
    as_port,
    as_value,
    check_identifier,
)
from coloss.objective.pointwise import TABLE
from coloss.objective.printer import OptionValue
from coloss.objective.words import BATCH, DETACH, TRANSFER, Function, Option


def _numeric(default: float | None, rule: NumberRule, none: bool = False) -> Option:
    """Return an option that takes numbers; None where it may, or is the default."""
    none = none or default is None

    def accepts(value: object) -> bool:
        if value is None:
            return none
        return isinstance(value, int | float) and rule.holds(value)

    return Option(default, f"{rule}{', or None' if none else ''}", accepts)


DETACHED = Option(True, "True or False", lambda v: isinstance(v, bool))
STANDARDIZE = Option(False, "True or False", lambda v: isinstance(v, bool))
TEMPERATURE = _numeric(4.0, POSITIVE)
PLAIN_TEMPERATURE = _numeric(1.0, POSITIVE)
SHARPNESS = _numeric(0.07, POSITIVE)
THRESHOLD = _numeric(0.95, NumberRule(least=0, below=1))
GROUP = _numeric(32, NumberRule(least=3, whole=True))
PART = _numeric(1.0, NOT_NEGATIVE)
DIMENSION = _numeric(128, NumberRule(least=1, whole=True), none=True)
HOW = Option(
    "mean", '"mean", "best" or "gated"', lambda v: v in ("mean", "best", "gated")
)
GATE = Option(
    None,
    '"row", "rank", "network" or None',
    lambda v: v in ("row", "rank", "network", None),
)
# Which way the divergence of two distributions is taken.
DIVERGENCE = Option(
    "forward",
    '"forward", "reverse" or "jsd"',
    lambda v: v in ("forward", "reverse", "jsd"),
)
# Of several sources: all alike, or by how well each knows the label.
WEIGHTS = Option(
    "equal", '"equal" or "confidence"', lambda v: v in ("equal", "confidence")
)
CORRECT = Option(False, "True or False", lambda v: isinstance(v, bool))
# A term that compares rows with one another has no rows to gate.
WHOLE_GATE = Option(None, '"network" or None', lambda v: v in ("network", None))
# What every edge between networks takes, users' own terms included.
COMMON = {"detach": DETACHED}

_EPOCHS_FROM_0 = NumberRule(least=0, whole=True, unit="epochs")
START = _numeric(0, _EPOCHS_FROM_0)
STOP = _numeric(None, NumberRule(least=1, whole=True, unit="epochs"))
WARMUP = _numeric(0, _EPOCHS_FROM_0)
# Every transfer term takes these: the epochs in which it counts.
WINDOW = {"start": START, "stop": STOP, "warmup": WARMUP}


def _with_window(function: Function) -> Function:
    if function.kind != TRANSFER:
        return function
    return replace(function, options={**function.options, **WINDOW})


_TABLE: list[Function] = [
    *TABLE,
    Function("mean", BATCH),
    Function("stop", DETACH),
    Function(
        "distill",
        TRANSFER,
        options={
            "temperature": TEMPERATURE,
            "standardize": STANDARDIZE,
            "divergence": DIVERGENCE,
            "weights": WEIGHTS,
            "correct": CORRECT,
            "gate": GATE,
            **COMMON,
        },
    ),
    Function("match_logits", TRANSFER, options={"gate": GATE, **COMMON}),
    Function(
        "dkd",
        TRANSFER,
        options={
            "alpha": PART,
            "beta": PART,
            "temperature": TEMPERATURE,
            "gate": GATE,
            **COMMON,
        },
    ),
    Function(
        "dist",
        TRANSFER,
        options={
            "beta": PART,
            "gamma": PART,
            "temperature": PLAIN_TEMPERATURE,
            "gate": WHOLE_GATE,
            **COMMON,
        },
    ),
    Function(
        "mutual",
        TRANSFER,
        None,
        options={
            "temperature": PLAIN_TEMPERATURE,
            "divergence": DIVERGENCE,
            **COMMON,
        },
        members="all",
    ),
    Function(
        "consensus",
        TRANSFER,
        options={
            "how": HOW,
            "temperature": TEMPERATURE,
            "divergence": DIVERGENCE,
            "weights": WEIGHTS,
            **COMMON,
        },
    ),
    *(
        Function(name, TRANSFER, options={"gate": GATE, **COMMON})
        for name in ("hint", "attention")
    ),
    # A log-likelihood.
    Function("vid", TRANSFER, options={"gate": GATE, **COMMON}, signed=True),
    *(
        Function(name, TRANSFER, options={"gate": WHOLE_GATE, **COMMON})
        for name in ("cka", "sp", "rkd_distance", "pkt")
    ),
    Function(
        "contrast",
        TRANSFER,
        options={
            "temperature": SHARPNESS,
            "dimension": DIMENSION,
            "gate": GATE,
            **COMMON,
        },
    ),
    Function(
        "rkd_angle",
        TRANSFER,
        options={"max_rows": GROUP, "gate": WHOLE_GATE, **COMMON},
    ),
    # Its sources give weights, not gradients: nothing to detach.
    Function("coteach", TRANSFER, options={"temperature": PLAIN_TEMPERATURE}),
    Function(
        "pseudo_label", TRANSFER, options={"threshold": THRESHOLD}, members="self"
    ),
]
FUNCTIONS: dict[str, Function] = {
    function.name: _with_window(function) for function in _TABLE
}
# Those of the library; users' own are in `FUNCTIONS` only.
TRANSFER_TERMS = tuple(f.name for f in _TABLE if f.kind == TRANSFER)


def add_transfer_term(
    name: str,
    options: Mapping[str, OptionValue],
    per_row: bool = False,
    embedded: bool = False,
) -> None:
    """Make a user's transfer term a word of the language.

    Args:
        name: the word.
        options: its keyword options with their defaults: numbers, bools or text. A
            value in an objective must be of its default's kind. What every edge takes
            (`detach=`, `gate=`, `start=`, ...) is added.
        per_row: whether it has a value a row, which can be gated.
        embedded: whether both sides are mapped to one embedding, whose width is then
            the option `dimension=`.

    Raises:
        ValueError: if the name is no identifier or a word already, an option is one
            that every edge takes, or a default is of another kind.
    """
    check_identifier(name, "transfer term")
    if name in FUNCTIONS:
        raise ValueError(f"`{name}` is a word of the objective language already")
    added = {"dimension": DIMENSION} if embedded else {}
    clash = sorted(set(options) & {*COMMON, *WINDOW, *added, "gate"})
    if clash:
        raise ValueError(f"`{name}`: the option `{clash[0]}` means something already")
    own = {key: _option(name, key, default) for key, default in options.items()}
    gate = GATE if per_row else WHOLE_GATE
    every = {**own, **added, "gate": gate, **COMMON}
    FUNCTIONS[name] = _with_window(Function(name, TRANSFER, options=every))


def remove_transfer_term(name: str) -> None:
    """Forget a word that `add_transfer_term` added.

    Raises:
        ValueError: if it is no such word.
    """
    if name not in FUNCTIONS or name in {function.name for function in _TABLE}:
        raise ValueError(f"`{name}` is no transfer term of a user's own")
    del FUNCTIONS[name]


def _option(term: str, key: str, default: object) -> Option:
    """Return the option whose values are of its default's kind."""
    if isinstance(default, bool):
        return Option(default, DETACHED.rule, DETACHED.accepts)
    if isinstance(default, str):
        return Option(default, "text", lambda value: isinstance(value, str))
    if isinstance(default, int | float) and FINITE.holds(default):
        return _numeric(default, FINITE)
    raise ValueError(
        f"`{term}`: the option `{key}` needs a number, True, False or text as its "
        f"default; found {default!r}"
    )


def call(name: str, /, *arguments: object, **options: OptionValue) -> Call:
    """Return the call of a function of the language, checked; see `make_call`."""
    return make_call(name, arguments, options)


def find(name: str, column: int | None = None) -> Function:
    """Return a word of the language.

    Raises:
        ObjectiveError: if there is none, with the nearest one.
    """
    if name not in FUNCTIONS:
        raise ObjectiveError(
            f"no function {name!r}{nearest(name, FUNCTIONS)}", column=column
        )
    return FUNCTIONS[name]


def make_call(
    name: str,
    arguments: Sequence[object],
    options: Mapping[str, OptionValue],
    column: int | None = None,
) -> Call:
    """Return the call of a function of the language, checked.

    Args:
        name: a word of the language, such as `"distill"`.
        arguments: nodes or numbers; an edge for transfer terms.
        options: keyword options.
        column: where the call stands in the text, for messages.

    Raises:
        ObjectiveError: for an unknown function or option, a wrong number of
            arguments, a wrong kind of argument, or a value out of range.
    """
    function = find(name, column)
    given = len(arguments)
    if function.arguments is not None and given != function.arguments:
        raise ObjectiveError(
            f"{name}() takes {function.arguments} argument"
            f"{'s' if function.arguments > 1 else ''}; found {given}",
            column=column,
        )
    nodes = _nodes(function, tuple(arguments), column)
    values = tuple(
        (key, _checked(function, key, value, column)) for key, value in options.items()
    )
    return Call(name, nodes, values, column)


def _nodes(
    function: Function, arguments: tuple[object, ...], column: int | None
) -> tuple[Expression, ...]:
    try:
        nodes = tuple(as_expression(argument) for argument in arguments)
        if function.kind != TRANSFER:
            if any(isinstance(node, Edge) for node in nodes):
                raise ObjectiveError(
                    f"{function.name}() takes losses and numbers; found the edge "
                    f"`{next(n for n in nodes if isinstance(n, Edge))}`. Edges stand "
                    "in transfer terms, such as distill(visual >> acoustic)",
                    column=column,
                )
            return tuple(as_value(node) for node in nodes)
    except TypeError as error:
        raise ObjectiveError(str(error), column=column) from None
    return _transfer_nodes(function, nodes, column)


def _transfer_nodes(
    function: Function, nodes: tuple[Expression, ...], column: int | None
) -> tuple[Expression, ...]:
    if len(nodes) == 1 and isinstance(nodes[0], Edge):
        _check_edge(function, nodes[0], column)
        return nodes
    only_members = all(isinstance(node, Name) for node in nodes)
    if function.members == "self" and only_members:
        return nodes
    if function.members == "all" and only_members:
        if len({str(node) for node in nodes}) >= 2:
            return nodes
        raise ObjectiveError(
            f"{function.name}() needs an edge or at least 2 different members, such "
            f"as {function.name}(acoustic, visual)",
            column=column,
        )
    raise ObjectiveError(
        f"{function.name}() takes an edge source >> learner, such as "
        f"{function.name}(visual >> acoustic); found "
        f"`{', '.join(str(node) for node in nodes)}`",
        column=column,
    )


def _check_edge(function: Function, edge: Edge, column: int | None) -> None:
    learner = as_port(edge.learner)
    for source in edge.sources:
        if source == learner and function.members != "self":
            raise ObjectiveError(
                f"`{edge}`: a network cannot teach itself at the same place; the "
                "source and the learner must differ",
                column=column,
            )
    if len(set(edge.sources)) < len(edge.sources):
        raise ObjectiveError(f"`{edge}`: a source is named twice", column=column)


def _checked(
    function: Function, key: str, value: OptionValue, column: int | None
) -> OptionValue:
    if key not in function.options:
        raise ObjectiveError(
            f"{function.name}() has {unknown('option', key, function.options)}",
            column=column,
        )
    option = function.options[key]
    if not option.accepts(value):
        raise ObjectiveError(
            f"option `{key}` of {function.name}() must be {option.rule}; "
            f"found {value!r}",
            column=column,
        )
    return value


def builder(name: str) -> Callable[..., Call]:
    """Return a Python function that builds calls of one word of the language."""

    def build(*arguments: object, **options: OptionValue) -> Call:
        return call(name, *arguments, **options)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"Return the node `{name}(...)` of the objective language."
    return build
