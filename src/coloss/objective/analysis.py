"""The factor of every loss and term in a bound objective, in symbols and numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from coloss.objective.derivative import Linear, is_term, leaves, linear
from coloss.objective.dual import Point, evaluate
from coloss.objective.expression import Call, Expression, Name
from coloss.objective.polynomial import Polynomial

TYPICAL = (0.1, 1.0, 2.3)
"""Losses of a good, a mediocre and an untrained (10 classes) network."""
_GROWTH = (1e4, 1e8, 1e16)
_NOISE = 1e-12
_MANY = 12
_EFFORT = 20_000
"""Parts times members times points at which a growing loss is followed."""


@dataclass(frozen=True)
class Slope:
    """The derivative of the objective by one loss or one term.

    Attributes:
        symbol: text in the coefficients; None where it depends on the losses.
        low: least value at the points looked at.
        high: greatest value there.
    """

    symbol: str | None
    low: float
    high: float

    @property
    def value(self) -> float:
        """The one number to show: the most negative, else the largest."""
        return self.low if self.low < 0 else self.high

    @property
    def is_absent(self) -> bool:
        """Whether it is 0 whatever the coefficients are."""
        return self.symbol == "0"


@dataclass(frozen=True)
class Analysis:
    """What an objective's derivatives are.

    Attributes:
        expression: the bound objective.
        members: the networks' names.
        coefficients: known values; 1 where missing.
        at: the losses to look at; None: several typical points.
        bounds: the greatest value each member's loss can take.
        faults: filled with the parts that are undefined at these points.
    """

    expression: Expression
    members: tuple[str, ...]
    coefficients: Mapping[str, float] = field(default_factory=dict)
    at: Mapping[str, float] | None = None
    bounds: Mapping[str, float] = field(default_factory=dict)
    faults: dict[Expression, None] = field(default_factory=dict)

    @cached_property
    def form(self) -> Linear:
        """The objective as a linear form."""
        return linear(self.expression)

    @cached_property
    def reached(self) -> dict[Expression, frozenset[Expression]]:
        """The losses and terms that get a gradient through each nonlinear part."""
        return {
            part: frozenset(leaves(part, detached=False))
            for part in self.form.nonlinear
        }

    @cached_property
    def read(self) -> frozenset[str]:
        """Members whose loss a nonlinear part reads, so that it steers others."""
        steering = [part for part, reached in self.reached.items() if reached]
        found = (leaf for part in steering for leaf in leaves(part))
        return frozenset(leaf.identifier for leaf in found if isinstance(leaf, Name))

    @cached_property
    def slopes(self) -> dict[str, Slope]:
        """The derivative by each member's loss."""
        return {member: self._slope(Name(member, "member")) for member in self.members}

    @cached_property
    def terms(self) -> dict[Call, Slope]:
        """The derivative by each transfer term, in order of appearance."""
        found = [leaf for leaf in leaves(self.expression) if is_term(leaf)]
        unique = [leaf for leaf in dict.fromkeys(found) if isinstance(leaf, Call)]
        return {term: self._slope(term) for term in unique}

    def ascended(self, frozen: Collection[str] = ()) -> list[str]:
        """Return the members that are trained to fail."""
        return [
            member
            for member, slope in self.slopes.items()
            if slope.low < 0 and member not in frozen
        ]

    def falling(self, frozen: Collection[str] = ()) -> list[str]:
        """Return the members whose growing loss sends the objective to -infinity.

        A bound on their loss is left out of account.
        """
        return [m for m in self.members if m not in frozen and m in self._fall]

    def unbounded(self, frozen: Collection[str] = ()) -> list[str]:
        """Return `falling` without the members whose loss is bounded."""
        return [m for m in self.falling(frozen) if m not in self.bounds]

    def number(self, polynomial: Polynomial) -> float:
        """Return the value of a polynomial in the coefficients."""
        return polynomial.value(self._coefficient)

    def _slope(self, leaf: Expression) -> Slope:
        own = self.form.parts.get(leaf, Polynomial())
        steady = self.number(own)
        # By number: to look up a long expression takes its length.
        parts = [
            n for n, reached in enumerate(self.reached.values()) if leaf in reached
        ]
        if not parts:
            return Slope(str(own), steady, steady)
        values = [
            steady + sum(table[part].get(leaf, 0.0) for part in parts)
            for table in self._tables
        ]
        known = [value if abs(value) > _NOISE else 0.0 for value in values]
        known = [value for value in known if not math.isnan(value)] or [math.nan]
        return Slope(None, min(known), max(known))

    @cached_property
    def _tables(self) -> list[list[dict[Expression, float]]]:
        """At each point, the slopes of each nonlinear part times its factor."""
        tables = []
        for losses in self._points():
            point = Point(self.coefficients, losses, faults=self.faults)
            tables.append(
                [
                    evaluate(part, point).scaled(self.number(factor))
                    for part, factor in self.form.nonlinear.items()
                ]
            )
        return tables

    def _coefficient(self, node: Expression) -> float:
        return evaluate(node, Point(self.coefficients, {}, faults=self.faults)).value

    def _points(self) -> Iterator[dict[str, float]]:
        """Yield the losses to look at: equal, in mixed orders, one far off."""
        if self.at is not None:
            yield dict(self.at)
            return
        names = [member for member in self.members if member in self.read]
        low, _, high = TYPICAL
        for level in TYPICAL:
            yield dict.fromkeys(names, level)
        ratio = (high / low) ** (1.0 / max(1, len(names) - 1))
        spread = [low * ratio**index for index in range(len(names))]
        yield dict(zip(names, spread, strict=True))
        yield dict(zip(names, reversed(spread), strict=True))
        for member in names if len(names) <= _MANY else ():
            yield {name: high if name == member else low for name in names}
            yield {name: low if name == member else high for name in names}

    @cached_property
    def _fall(self) -> frozenset[str]:
        return frozenset(member for member in self.members if self._falls(member))

    def _falls(self, member: str) -> bool:
        leaf = Name(member, "member")
        slope = self.slopes[member]
        if slope.symbol is not None:
            return slope.low < 0
        return any(self._falls_from(leaf, *still) for still in self._still)

    @cached_property
    def _still(self) -> list[tuple[dict[str, float], dict[int, float]]]:
        """The losses from which one grows, and the value of each part there.

        Of very long objectives fewer, those in mixed orders first: an explanation is
        to take a second at the most.
        """
        points = list(self._points())
        size = sum(1 for part in self.form.nonlinear for _ in part.walk())
        most = max(1, _EFFORT // max(1, size * len(self.read)))
        if most < len(points):
            points = [*points[len(TYPICAL) :], *points[: len(TYPICAL)]][:most]
        found = []
        for losses in points:
            values: dict[int, float] = {}
            point = Point(self.coefficients, losses, seeds=frozenset(), values=values)
            for part in self.form.nonlinear:
                evaluate(part, point)
            found.append((losses, values))
        return found

    def _falls_from(
        self, leaf: Name, losses: Mapping[str, float], still: Mapping[int, float]
    ) -> bool:
        values: list[float] = []
        for level in _GROWTH:
            moved = {**losses, leaf.identifier: level}
            point = Point(
                self.coefficients,
                moved,
                seeds=frozenset([leaf]),
                moved=leaf.identifier,
                still=still,
            )
            own = self.number(self.form.parts.get(leaf, Polynomial()))
            value, slope = own * level, own
            for part, factor in self.form.nonlinear.items():
                scale = self.number(factor)
                found = evaluate(part, point)
                value += scale * found.value
                slope += found.scaled(scale).get(leaf, 0.0)
            if not slope < 0:
                return False
            values.append(value)
        if values[-1] == -math.inf:
            return True
        # Falling to a limit, as 1/x does, falls ever less; log(x) falls ever on.
        return values[1] - values[2] > 0.9 * (values[0] - values[1]) > 0
