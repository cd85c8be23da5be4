"""Of what the gradients of summands are combinations: fewer passes backwards.

`a`, `w*(a + b)` and `w*(a + c)` meet in the network `a` with three gradients, but all
are multiples of one, that of a's loss. A summand whose factors are constants is a
combination of the values of its atoms, and so is its gradient: a network needs a pass
backwards for each atom that reaches it, or for each summand, whichever are fewer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from keras import ops

from coloss.joint.balance.parameter_groups import ParameterGroup
from coloss.objective.rows import Atom, Form
from coloss.typing import Tensor

Factor: TypeAlias = Tensor | float


@dataclass
class GradientBasis:
    """What a balanced train step takes gradients of.

    Attributes:
        summands: K scalars, weighed.
        rest: a scalar: regularizers, and the price of trained weights.
        has_regularizers: whether the rest reaches the members.
        elements: A scalars of which summands are combinations.
        positions: for each group, those of `values` whose gradients it needs.
        tables: for each group (k, r), its summands' gradients as combinations of
            these; None: they are the summands themselves.
    """

    summands: list[Tensor]
    rest: Tensor
    has_regularizers: bool
    elements: list[Tensor] = field(default_factory=list)
    positions: list[tuple[int, ...]] = field(default_factory=list)
    tables: list[Tensor | None] = field(default_factory=list)

    @property
    def values(self) -> list[Tensor]:
        """All of which a gradient may be taken: summands, the rest, elements."""
        return [*self.summands, self.rest, *self.elements]

    def outside(
        self, values: Sequence[Tensor], tables: list[Tensor | None]
    ) -> GradientBasis:
        """Return the same with tensors that outlive the function they were made in.

        Args:
            values: in the order of `values`.
            tables: one a group.
        """
        count = len(self.summands)
        return replace(
            self,
            summands=list(values[:count]),
            rest=values[count],
            elements=list(values[count + 1 :]),
            tables=tables,
        )

    def divide(
        self,
        forms: Sequence[Form],
        values: Sequence[Tensor],
        weights: Tensor | None,
        groups: Sequence[ParameterGroup],
        reached: Sequence[Collection[str]],
        owners: dict[Atom, str],
    ) -> None:
        """Find what each group needs.

        Args:
            forms: the K summands, before they are weighed.
            values: theirs.
            weights: (K,) or None.
            groups: where gradients are combined.
            reached: for each summand, the members that get a gradient from it.
            owners: the member of each supervised loss.
        """
        elements = _elements(forms, values, reached, owners)
        first = len(self.summands) + 1
        used: dict[int, int] = {}
        for group in groups:
            near = [
                i
                for i, element in enumerate(elements)
                if not element.reach.isdisjoint(group.owners)
            ]
            if not near or len(near) >= len(group.summands):
                self.positions.append(group.summands)
                self.tables.append(None)
                continue
            for i in near:
                used.setdefault(i, len(used))
            self.positions.append(tuple(first + used[i] for i in near))
            table = [
                [elements[i].factors.get(k, 0.0) for i in near] for k in group.summands
            ]
            self.tables.append(_tensor(table, weights, group.summands))
        self.elements = [elements[i].value() for i in used]


@dataclass
class _Element:
    """A direction, with its factor in each summand that has it."""

    parts: list[tuple[Factor | None, Tensor]]
    reach: frozenset[str]
    factors: dict[int, Factor]

    def value(self) -> Tensor:
        """Return the scalar whose gradient is the direction."""
        total = None
        for factor, scalar in self.parts:
            term = scalar if factor is None else _fixed(factor) * scalar
            total = term if total is None else total + term
        return total


def _elements(
    forms: Sequence[Form],
    values: Sequence[Tensor],
    reached: Sequence[Collection[str]],
    owners: dict[Atom, str],
) -> list[_Element]:
    users: dict[Atom, list[int]] = {}
    for k, form in enumerate(forms):
        for atom in () if form.moving else form.terms:
            users.setdefault(atom, []).append(k)
    found: list[_Element] = []
    alone: dict[tuple[int, frozenset[str]], _Element] = {}
    for atom, summands in users.items():
        # No less than the members that get a gradient from it.
        reach = frozenset().union(*(reached[k] for k in summands))
        if atom in owners:
            reach &= {owners[atom]}
        if len(summands) > 1:
            factors = {k: forms[k].terms[atom] for k in summands}
            found.append(_Element([(None, atom.mean)], reach, factors))
            continue
        # Atoms of one summand alone are one direction together.
        place = (summands[0], reach)
        if place not in alone:
            alone[place] = _Element([], reach, {summands[0]: 1.0})
            found.append(alone[place])
        alone[place].parts.append((forms[summands[0]].terms[atom], atom.mean))
    for k, form in enumerate(forms):
        if form.moving:
            own = frozenset(reached[k])
            found.append(_Element([(None, values[k])], own, {k: 1.0}))
    return found


def _tensor(
    table: list[list[Factor]], weights: Tensor | None, summands: Sequence[int]
) -> Tensor:
    rows = [
        ops.stack([ops.convert_to_tensor(_fixed(f), dtype="float32") for f in row])
        for row in table
    ]
    found = ops.stack(rows)
    if weights is None:
        return found
    own = ops.take(ops.stop_gradient(weights), list(summands))
    return found * ops.expand_dims(own, -1)


def _fixed(factor: Factor) -> Factor:
    return factor if isinstance(factor, float | int) else ops.stop_gradient(factor)
