"""The value of an objective on a batch whose members see different rows.

A member's loss is known on the rows that have its label and its input. A `Form`
is a linear combination of atoms, each with rows of its own; its value is the same
combination of masked means. Sums and scalar multiples stay linear, so identities
such as `a + (a - b) == 2*a - b` hold however rows are missing. Any other function
works row by row, on the rows where everything in it is known; values elsewhere
are replaced by 1 *before* the arithmetic, so that no NaN reaches a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from keras import ops

from coloss.objective.expression import (
    Binary,
    Call,
    Expression,
    Name,
    Negative,
    Number,
)
from coloss.objective.functions import FUNCTIONS
from coloss.objective.reach import literal
from coloss.objective.words import DETACH, TRANSFER, Pointwise
from coloss.typing import Tensor

Sum = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Atom:
    """Values with the rows on which they are known.

    Attributes:
        values: (batch,), or () for a value of the whole batch.
        mask: bool like `values`; None: known everywhere.
        weight: (batch,) sample weight of each row; None: 1.
        across: sums a scalar over all parts of the batch, where this is one of several
            that are computed side by side; None: this is the whole batch.
    """

    values: Tensor
    mask: Tensor | None = None
    weight: Tensor | None = None
    across: Sum | None = None

    @property
    def is_scalar(self) -> bool:
        """Whether this is one value for the batch."""
        return len(self.values.shape) == 0

    @property
    def mean(self) -> Tensor:
        """The weighted sum over the known rows divided by their number.

        0, without a gradient, where no row is known.
        """
        # Not a cached_property: until Python 3.12 that holds one lock for all atoms,
        # and replicas, a thread each, wait for each other inside of `across`.
        if "_mean" not in self.__dict__:
            self.__dict__["_mean"] = self._mean_of_rows()
        return self.__dict__["_mean"]

    def _mean_of_rows(self) -> Tensor:
        values = self.values
        if self.mask is not None:
            values = ops.where(self.mask, values, ops.zeros_like(values))
        if self.is_scalar:
            return values
        if self.weight is not None:
            values = values * self.weight
        if self.mask is None and self.across is None:
            return ops.mean(values)
        known = ops.ones_like(values) if self.mask is None else self.mask
        total, count = ops.sum(values), ops.sum(ops.cast(known, values.dtype))
        if self.across is not None:
            total, count = self.across(total), self.across(count)
        return total / ops.maximum(count, ops.ones_like(count))

    @property
    def known(self) -> Tensor | None:
        """Whether any row of the whole batch is known: a scalar bool; None: yes."""
        if self.mask is None:
            return None
        if self.across is None or self.is_scalar:
            return ops.any(self.mask)
        return self.across(ops.sum(ops.cast(self.mask, "float32"))) > 0


class Form:
    """A linear combination of atoms, plus a constant.

    `constant` is a float or a scalar tensor; `terms` maps an atom to its factor. The
    form is `moving` if these depend on the values of other atoms.
    """

    def __init__(
        self,
        constant: Tensor | float = 0.0,
        terms: dict[Atom, Tensor | float] | None = None,
        moving: bool = False,
    ) -> None:
        """Store the constant and the factor of each atom."""
        self.constant = constant
        self.terms = terms or {}
        self.moving = moving

    @classmethod
    def of(cls, atom: Atom) -> Form:
        """Return the form that is one atom."""
        return cls(0.0, {atom: 1.0})

    @property
    def is_scalar(self) -> bool:
        """Whether this is one value for the whole batch."""
        return all(atom.is_scalar for atom in self.terms)

    def value(self) -> Tensor:
        """Return the combination of masked means: a scalar tensor."""
        total = self.constant
        for atom, factor in self.terms.items():
            total = total + factor * atom.mean
        return ops.convert_to_tensor(total, dtype="float32")

    def plus(self, other: Form) -> Form:
        """Return the sum; factors of the same atom add up."""
        terms = dict(self.terms)
        for atom, factor in other.terms.items():
            terms[atom] = terms[atom] + factor if atom in terms else factor
        moving = self.moving or other.moving
        return Form(self.constant + other.constant, terms, moving)

    def scaled(self, factor: Tensor | float, moving: bool = False) -> Form:
        """Return the form times a scalar, which may depend on atoms itself."""
        return Form(
            self.constant * factor,
            {atom: own * factor for atom, own in self.terms.items()},
            self.moving or moving,
        )

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Form:
        """Return the form with a linear function applied to its values."""
        constant = self.constant
        if not isinstance(constant, float):
            constant = function(constant)
        terms = {
            replace(atom, values=function(atom.values)): _map(function, own)
            for atom, own in self.terms.items()
        }
        return Form(constant, terms, self.moving)

    def rows(self) -> Atom:
        """Return the form as one atom, known where all of it is known."""
        values, mask = self.constant, None
        weights, members = [], 0
        for atom, factor in self.terms.items():
            # Unknown values go first: a coefficient's gradient multiplies by them.
            values = values + factor * _safe(atom.values, atom.mask)
            mask = _both(mask, atom.mask)
            if not atom.is_scalar:
                members += 1
                weights += [] if atom.weight is None else [atom.weight]
        values = ops.convert_to_tensor(values, dtype="float32")
        return Atom(values, mask, _mean_weight(weights, members), _across(self.terms))


class Values(Protocol):
    """What an expression's names mean on one batch."""

    def loss(self, member: str) -> Form:
        """Return a member's supervised loss, row by row."""

    def coefficient(self, name: str) -> Tensor | float:
        """Return a coefficient: a float or a scalar tensor."""

    def transfer(self, term: Call) -> Form:
        """Return a transfer term's value."""


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "*": ops.multiply,
    "/": ops.divide,
    "**": ops.power,
}


def evaluate(node: Expression, values: Values) -> Form:
    """Return an expression's value on a batch as a linear form.

    Args:
        node: a bound expression (every name's role is known).
        values: what the names mean on this batch.
    """
    known = literal(node)
    if known is not None:
        return Form(float(known))
    if isinstance(node, Number):
        return Form(node.value)
    if isinstance(node, Name):
        if node.role == "coefficient":
            return Form(values.coefficient(node.identifier))
        return values.loss(node.identifier)
    if isinstance(node, Negative):
        return evaluate(node.operand, values).scaled(-1.0)
    if isinstance(node, Binary):
        return _binary(node, values)
    if isinstance(node, Call):
        return _call(node, values)
    raise TypeError(f"`{node}` has no value of its own.")


def _binary(node: Binary, values: Values) -> Form:
    left, right = evaluate(node.left, values), evaluate(node.right, values)
    if node.operator == "+":
        return left.plus(right)
    if node.operator == "-":
        return left.plus(right.scaled(-1.0))
    if node.operator == "*" and left.is_scalar:
        return _scale(right, left)
    if node.operator == "*" and right.is_scalar:
        return _scale(left, right)
    if node.operator == "/" and right.is_scalar:
        return _scale(left, right, invert=True)
    return pointwise(_OPERATORS[node.operator], left, right)


def _scale(form: Form, scalar: Form, invert: bool = False) -> Form:
    """Return a form times (or divided by) a scalar form."""
    if not scalar.terms:
        factor = scalar.constant
        return form.scaled(1.0 / factor if invert else factor, scalar.moving)
    atom = scalar.rows()
    factor = _safe(atom.values, atom.mask)
    if invert:
        factor = 1.0 / factor
    if atom.mask is None:
        return form.scaled(factor, moving=True)
    known = ops.cast(atom.mask, "float32")
    # Where the scalar is unknown the whole product is, constants included.
    return form.scaled(factor * known, moving=True)


def _call(node: Call, values: Values) -> Form:
    function = FUNCTIONS[node.function]
    if function.kind == TRANSFER:
        return values.transfer(node)
    forms = [evaluate(argument, values) for argument in node.arguments]
    if isinstance(function, Pointwise):
        return pointwise(partial(function.value, ops), *forms)
    return (
        forms[0].mapped(ops.stop_gradient)
        if function.kind == DETACH
        else _mean(forms[0])
    )


def _mean(form: Form) -> Form:
    """Return the batch mean: every atom becomes a scalar one."""
    terms = {}
    for atom, factor in form.terms.items():
        if atom.is_scalar:
            terms[atom] = factor
            continue
        terms[Atom(atom.mean, atom.known)] = factor
    return Form(form.constant, terms, form.moving)


def pointwise(function: Callable[..., Tensor], *forms: Form) -> Form:
    """Return a function of forms, on the rows where all of them are known."""
    atoms = [form.rows() for form in forms]
    mask = None
    for atom in atoms:
        mask = _both(mask, atom.mask)
    values = function(*(_safe(atom.values, mask) for atom in atoms))
    rowwise = [atom for atom in atoms if not atom.is_scalar]
    weights = [atom.weight for atom in rowwise if atom.weight is not None]
    if mask is not None and len(mask.shape) < len(values.shape):
        mask = ops.broadcast_to(mask, ops.shape(values))
    weight = _mean_weight(weights, len(rowwise))
    return Form.of(Atom(values, mask, weight, _across(rowwise)))


def _across(atoms: Iterable[Atom]) -> Sum | None:
    return next((atom.across for atom in atoms if not atom.is_scalar), None)


def _safe(values: Tensor, mask: Tensor | None) -> Tensor:
    """Replace unknown values by 1, where every function of the language is smooth."""
    if mask is None:
        return values
    return ops.where(mask, values, ops.ones_like(values))


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return ops.logical_and(first, second)


def _mean_weight(weights: list[Tensor], parts: int) -> Tensor | None:
    """Return the geometric mean of the parts' weights; a part without one has 1.

    One array given for all members therefore weighs a row once, whatever the
    expression combines.
    """
    if not weights:
        return None
    if all(weight is weights[0] for weight in weights) and len(weights) == parts:
        return weights[0]
    product = weights[0]
    for weight in weights[1:]:
        product = product * weight
    return ops.power(ops.maximum(product, ops.zeros_like(product)), 1.0 / parts)


def _map(
    function: Callable[[Tensor], Tensor], factor: Tensor | float
) -> Tensor | float:
    return factor if isinstance(factor, float) else function(factor)
