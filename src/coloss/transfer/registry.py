"""Transfer terms of the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras import ops

from coloss.checking import COUNT
from coloss.objective import functions
from coloss.transfer.masks import as_samples, masked_mean, need, prepare
from coloss.transfer.response import check_classes, check_shapes
from coloss.transfer.terms import (
    CLASSES,
    FEATURES,
    LABELED,
    OUTPUTS,
    PRESENT,
    TERMS,
    UNLABELED,
    Term,
)
from coloss.typing import Tensor

TermFunction = Callable[..., Any]

LEVELS, SCOPES = (FEATURES, OUTPUTS, CLASSES), (PRESENT, LABELED, UNLABELED)
PROJECTORS = ("none", "learner", "both")
# Parameters that every term has.
_RESERVED = ("learner", "source", "mask", "weights", "labels")
# Where each term of a user's own was written: the same lines may be run again.
_ORIGINS: dict[str, tuple[str, str]] = {}


def register(
    function: TermFunction | None = None,
    *,
    name: str | None = None,
    level: str = FEATURES,
    per_row: bool = False,
    min_rows: int = 1,
    scope: str = PRESENT,
    options: Mapping[str, Any] | None = None,
    projector: str = "none",
    paper: str = "",
) -> Any:
    """Make a function of two tensors a transfer term, a word of objectives.

    The function takes `learner` and `source` first and returns a scalar; with
    `per_row=True` it returns (B,), one value a row, and the term is their mean over the
    rows that count. It gets the checks of the library's own terms: at least 32-bit
    floats, equal numbers of rows, the shapes of its level, 0 below `min_rows`.

    Rows that do not count are overwritten before the function sees them, with the first
    row that does, so that they hold nothing odd. Where outputs have positions (steps,
    pixels) and some are padding, every position is a row. A function of rows needs no
    more. One
    that returns a scalar has to leave them out itself, and says that it does by a
    parameter `mask` ((B,) bool; None: all rows count). Without it the term refuses any
    mask, and with it members whose inputs or labels may be missing: rows that are not
    there would be averaged in, and nobody would know.

    An objective is saved as text: import the module that registers before loading it.

    Args:
        function: `function(learner, source, [mask], **options)` in `keras.ops`. Not
            detached here: the joint model detaches the source.
        name: the word in objectives; None: the function's name.
        level: what it reads: "features" (a layer's output), "outputs" (of equal shape)
            or "classes" (logits of equal classes).
        per_row: whether the function returns (B,) in place of a scalar.
        min_rows: below this number of rows the term is 0.
        scope: the rows it uses: "present", "labeled" or "unlabeled".
        options: keyword options with their defaults (numbers, bools, text); None: the
            function's own further parameters that have such a default.
        projector: the trained map between layers of different widths: "none",
            "learner" (to the source's width) or "both" (to one embedding).
        paper: where it is from.

    Returns:
        The function itself, unchanged; the term is `TERMS[name]`.

    Raises:
        ValueError: for a name that is no identifier or a word already (running the
            same definition again replaces the term), parameters that do not fit, an
            option whose default is no number, bool or text, or an unknown level,
            scope or projector.

    Examples:
        >>> import coloss
        >>> from keras import ops
        >>> @coloss.transfer.register(name="doc_l1", level="outputs", per_row=True)
        ... def distance(learner, source, power=1.0):
        ...     return ops.mean(ops.abs(learner - source) ** power, axis=-1)
        >>> print(coloss.Objective("a + doc_l1(b >> a, power=2)"))
        a + doc_l1(b >> a, power=2)
        >>> coloss.transfer.unregister("doc_l1")
    """

    def add(function: TermFunction) -> TermFunction:
        word = str(name or getattr(function, "__name__", ""))
        _check_choice(word, "level", level, LEVELS)
        _check_choice(word, "scope", scope, SCOPES)
        _check_choice(word, "projector", projector, PROJECTORS)
        COUNT.integer(f"`{word}`: min_rows", min_rows)
        found, masked = _signature(word, function, options)
        term = _Checked(word, function, level, min_rows, masked, per_row)
        origin = (function.__module__, str(getattr(function, "__qualname__", word)))
        if _ORIGINS.get(word) == origin:
            unregister(word)
        functions.add_transfer_term(word, found, per_row, projector == "both")
        _ORIGINS[word] = origin
        TERMS[word] = Term(
            word,
            term.value,
            level,
            per_row,
            min_rows,
            scope,
            found,
            paper,
            projector=projector,
            masked=masked or per_row,
        )
        return function

    return add if function is None else add(function)


def unregister(name: str) -> None:
    """Forget a term that `register` made.

    Args:
        name: its word in the language.

    Raises:
        ValueError: if it is no such term.
    """
    functions.remove_transfer_term(name)
    del TERMS[name], _ORIGINS[name]


@dataclass(frozen=True)
class _Checked:
    """A user's function with the checks of the library's own terms."""

    name: str
    function: TermFunction
    level: str
    min_rows: int
    masked: bool
    per_row: bool

    def value(
        self,
        learner: Tensor,
        source: Tensor,
        mask: Tensor | None = None,
        weights: Tensor | None = None,
        per_row: bool = False,
        **options: object,
    ) -> Tensor:
        """Return the term, a scalar; with `per_row` (B,), 0 where a row does not count.

        A mask of positions makes every position a row.
        """
        if not self.per_row and (per_row or weights is not None):
            raise ValueError(f"{self.name} has no value for each row to be weighted")
        places = None
        if mask is not None and len(mask.shape) > 1:
            mask, (learner, source) = prepare(
                self.name, mask, learner, source, positions=True
            )
            places = mask
            source, _ = as_samples(source, None)
            learner, mask = as_samples(learner, mask)
        counted, result = self._apply(learner, source, mask, options)
        if not self.per_row:
            return result
        if places is not None:
            result = ops.reshape(result, ops.shape(places))
            counted = ops.reshape(counted, ops.shape(places))
        return masked_mean(result, counted, weights, per_row)

    def _apply(
        self, learner: Tensor, source: Tensor, mask: Tensor | None, options: Any
    ) -> tuple[Tensor | None, Tensor]:
        """Return the rows that count and what the function says, 0 if too few do."""
        if mask is not None and not (self.masked or self.per_row):
            raise ValueError(
                f"{self.name} cannot leave rows out, and some may be missing; give "
                "its function a parameter `mask`, or let it return one value a row "
                "(`per_row=True`)"
            )
        mask, (learner, source) = prepare(self.name, mask, learner, source)
        if self.level == CLASSES:
            check_classes(self.name, learner, source)
        elif self.level == OUTPUTS:
            check_shapes(self.name, "outputs", learner, source)
        mask = need(self.min_rows, mask, learner)
        if mask is None:
            return None, self._result(learner, source, None, options)
        own, other = _filled(learner, mask), _filled(source, mask)
        shape = (ops.shape(learner)[0],) if self.per_row else ()
        # Not computed at all where too few rows count: a gradient of NaN times 0 is
        # NaN, and what a function does without rows is not ours to know.
        result = ops.cond(
            ops.any(mask),
            lambda: self._result(own, other, mask, options),
            lambda: ops.zeros(shape, dtype=learner.dtype),
        )
        return mask, result

    def _result(
        self, learner: Tensor, source: Tensor, mask: Tensor | None, options: Any
    ) -> Tensor:
        extra = {"mask": mask} if self.masked else {}
        result = self.function(learner, source, **extra, **options)
        shape = getattr(
            result, "shape", () if isinstance(result, float | int) else None
        )
        if shape is None or len(shape) != self.per_row:
            wanted = "shape (batch,), one value a row" if self.per_row else "a scalar"
            found = type(result).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(f"{self.name} must return {wanted}; found {found}")
        return ops.cast(result, learner.dtype)


def _filled(values: Tensor, mask: Tensor) -> Tensor:
    """Return values whose rows that do not count are copies of the first that does."""
    first = ops.take(values, ops.argmax(ops.cast(mask, "int32")), axis=0)
    first = ops.expand_dims(ops.stop_gradient(first), 0)
    mask = ops.reshape(mask, (-1,) + (1,) * (len(values.shape) - 1))
    return ops.where(mask, values, first)


def _signature(
    word: str, function: TermFunction, options: Mapping[str, Any] | None
) -> tuple[dict[str, Any], bool]:
    """Return a function's options with their defaults; whether it takes a mask."""
    parameters = list(inspect.signature(function).parameters.values())
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    tensors, others = parameters[:2], {p.name: p for p in parameters[2:]}
    fits = len(tensors) == 2 and all(p.kind in positional for p in tensors)
    if not fits or "mask" in {p.name for p in tensors}:
        raise ValueError(
            f"`{word}`: the function must take `learner` and `source` first; its "
            f"parameters are ({', '.join(p.name for p in parameters)})"
        )
    masked = others.pop("mask", None) is not None
    rest = [key for key, p in others.items() if p.kind is inspect.Parameter.VAR_KEYWORD]
    for key in rest:
        del others[key]
    if options is None:
        options = {
            key: p.default for key, p in others.items() if p.default is not p.empty
        }
    _check_options(word, options, others, bool(rest))
    return dict(options), masked


def _check_options(
    word: str,
    options: Mapping[str, Any],
    parameters: Mapping[str, inspect.Parameter],
    any_keyword: bool,
) -> None:
    for key in options:
        if key in _RESERVED:
            raise ValueError(f"`{word}`: the option `{key}` means something already")
        if key not in parameters and not any_keyword:
            raise ValueError(f"`{word}`: the function takes no option `{key}`")
    for key, parameter in parameters.items():
        by_keyword = parameter.kind in (
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.KEYWORD_ONLY,
        )
        if not by_keyword or (
            key not in options and parameter.default is parameter.empty
        ):
            raise ValueError(
                f"`{word}`: the parameter `{key}` must be a keyword with a default, "
                "which makes it an option of the term"
            )


def _check_choice(word: str, what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"`{word}`: {what} is one of {', '.join(choices)}; found {value!r}"
        )
