"""What an objective will do, in words: the result of `explain`."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from coloss.names import counted

_MOST = {
    "members": 8,
    "inputs": 3,
    "learning": 5,
    "bound": 3,
    "warnings": 6,
    "rows": 8,
    "flow": 5,
    "cosines": 3,
}


@dataclass(frozen=True)
class EdgeInfo:
    """One network learning from another.

    Attributes:
        source: the member that teaches.
        learner: the member that learns; the source itself for self-training.
        term: the transfer term as text.
        weight: its factor in the coefficients; None where it depends on the losses.
        weight_value: its factor as a number.
        detached: whether the source is left alone (no gradient).
    """

    source: str
    learner: str
    term: str
    weight: str | None
    weight_value: float
    detached: bool


@dataclass(frozen=True)
class Explanation:
    """What an objective will do to each network, before it is done.

    Attributes:
        objective: the objective as text.
        coefficients: by member, the factor c of its gradient (the derivative of the
            objective by its loss) in the coefficients; None where that depends on
            the losses.
        values: by member, c as a number; where it depends on the losses, the most
            negative of those at typical losses, else the largest.
        ranges: by member, the least and the greatest c looked at.
        ascended: members trained to fail.
        unbounded: members whose growing loss sends the objective to -infinity.
        bounds: greatest loss of members that only clipping holds.
        edges: who learns from whom.
        idle: members that affect nothing.
        frozen: members that are not trained.
        recorded: those of them that are no networks, but recorded predictions.
        warnings: what will surprise, one sentence each.
        suggestion: a corrected objective; None when no member is trained to fail.
        flow: by term and member, the norm of the term's gradient on one batch.
        cosines: (member, term, term, cosine of their gradients) on one batch.
        rows: by member, how many rows and labels of one batch count, and why others do
            not: "rows", "labeled", "unlabeled", "missing" (no input), "positions",
            "ignored".
        inputs: by member that reads other entries of `x` than its own, which, and what
            happens where one is missing.
    """

    objective: str
    coefficients: dict[str, str | None]
    values: dict[str, float]
    ranges: dict[str, tuple[float, float]]
    ascended: list[str] = field(default_factory=list)
    unbounded: list[str] = field(default_factory=list)
    bounds: dict[str, float] = field(default_factory=dict)
    edges: list[EdgeInfo] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    suggestion: str | None = None
    flow: dict[str, dict[str, float]] | None = None
    cosines: list[tuple[str, str, str, float]] | None = None
    rows: dict[str, dict[str, int]] | None = None
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def unmoved(self) -> list[str]:
        """Members whose gradient is 0, only because of the coefficients' values."""
        return [member for member in self.values if self._is_unmoved(member)]

    def _is_unmoved(self, member: str) -> bool:
        if member in self.frozen or member in self.idle:
            return False
        if self.ranges[member] != (0.0, 0.0):
            return False
        taught = [edge for edge in self.edges if edge.learner == member]
        taught += [
            edge for edge in self.edges if edge.source == member and not edge.detached
        ]
        if any(edge.weight_value for edge in taught):
            return False
        return bool(taught) or self.coefficients[member] not in (None, "0")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-safe values; a number that is none is None."""
        return {key: _json_safe(value) for key, value in asdict(self).items()}

    def __str__(self) -> str:
        """Return plain text of at most 50 lines."""
        lines = [f"objective: {_shorten(self.objective, 200)}"]
        for title, entries in self._sections():
            lines += [title, *(f"  {entry}" for entry in entries)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        blocks = [f"<p><code>{html.escape(self.objective)}</code></p>"]
        for title, entries in self._sections():
            items = "".join(f"<li>{html.escape(entry)}</li>" for entry in entries)
            blocks.append(f"<p><b>{html.escape(title)}</b></p><ul>{items}</ul>")
        return f"<div class='coloss-explanation'>{''.join(blocks)}</div>"

    def _sections(self) -> list[tuple[str, list[str]]]:
        found = [
            ("what happens to each network", self._cut("members", self._members())),
            ("what networks read", self._cut("inputs", self._inputs())),
            ("who learns from whom", self._cut("learning", self._learning())),
            ("lower bound", self._cut("bound", self._falling())),
            ("note", self._cut("warnings", self.warnings)),
            ("rows of one batch", self._cut("rows", self._rows())),
            ("gradient norms on one batch", self._cut("flow", self._flow())),
            ("terms at odds on one batch", self._cut("cosines", self._cosines())),
            ("try instead", [self.suggestion] if self.suggestion else []),
        ]
        return [(title, entries) for title, entries in found if entries]

    @staticmethod
    def _cut(section: str, entries: list[str]) -> list[str]:
        most = _MOST[section]
        if len(entries) <= most:
            return entries
        return [*entries[: most - 1], f"... and {len(entries) - most + 1} more"]

    def _members(self) -> list[str]:
        return [f"{member}: {self._member(member)}" for member in self.values]

    def _member(self, member: str) -> str:
        low, high = self.ranges[member]
        if member in self.recorded:
            return "recorded predictions, not trained"
        if member in self.frozen:
            return "frozen, not trained"
        if member in self.idle:
            return "idle: nothing here trains it or reads it"
        if self.coefficients[member] is None:
            span = (
                f"from {number(low)} to {number(high)}"
                if low < high
                else f"= {number(low)}"
            )
            factor = f"(c {span} at typical losses)"
            if low < 0 < high:
                return f"trained down or UP, to fail, as the losses stand {factor}"
        else:
            factor = f"(c = {self._factor(member)})"
        if low < 0:
            return f"trained UP, to fail {factor}"
        if high > 0:
            return f"trained down {factor}"
        if self._is_unmoved(member):
            if self.coefficients[member] == "0":
                factor = "(all terms that reach it have weight 0)"
            return f"gradient 0 while the coefficients are as they are {factor}"
        if any(edge.learner == member for edge in self.edges):
            return "no own loss here; moved by transfer terms only"
        teaches = any(edge.source == member for edge in self.edges)
        return f"not trained; {'only teaches' if teaches else 'only read'}"

    def _factor(self, member: str) -> str:
        symbol, value = self.coefficients[member], number(self.values[member])
        return value if _is_number(symbol) else f"{symbol} = {value}"

    def _inputs(self) -> list[str]:
        return [f"{member}: {text}" for member, text in self.inputs.items()]

    def _learning(self) -> list[str]:
        if not self.edges:
            return ["no network learns from another"]
        lines = []
        for edge in self.edges:
            weight = number(edge.weight_value)
            if edge.weight is None:
                weight += " at typical losses"
            elif not _is_number(edge.weight):
                weight = f"{edge.weight} = {weight}"
            verb = "learns from" if edge.weight_value >= 0 else "is pushed AWAY from"
            source = "itself" if edge.source == edge.learner else edge.source
            moved = "" if edge.detached else f"; {edge.source} is moved too"
            lines.append(
                f"{edge.learner} {verb} {source}: {edge.term} (weight {weight}{moved})"
            )
        return lines

    def _falling(self) -> list[str]:
        lines = []
        if self.unbounded:
            lines.append(
                "the objective falls to -infinity as the loss of "
                f"{join(self.unbounded, 'or')} grows"
            )
        lines += [
            f"{member}: bounded only by the clipping at {number(bound)}"
            for member, bound in self.bounds.items()
        ]
        return lines

    def _flow(self) -> list[str]:
        return [
            f"{term}: " + ", ".join(f"{name} {norm:.3g}" for name, norm in row.items())
            for term, row in (self.flow or {}).items()
        ]

    def _rows(self) -> list[str]:
        lines = []
        for member, counts in (self.rows or {}).items():
            line = (
                f"{member}: {counted(counts['rows'], 'row')}, "
                f"{counts['labeled']} labeled, {counts['unlabeled']} unlabeled, "
                f"{counts['missing']} without input"
            )
            if counts["positions"] != counts["rows"]:
                of = counted(counts["positions"], "label")
                line += f"; {counts['ignored']} of {of} ignored"
            lines.append(line)
        return lines

    def _cosines(self) -> list[str]:
        against = [entry for entry in self.cosines or [] if entry[3] < 0]
        return [
            f"{member}: {first} against {second} (cosine {cosine:.2f})"
            for member, first, second, cosine in sorted(against, key=lambda e: e[3])
        ]


def number(value: float) -> str:
    """Return a number in four digits, always with a point or an exponent."""
    text = f"{value + 0.0:.4g}"
    return text if any(mark in text for mark in ".en") else f"{text}.0"


def join(names: list[str], word: str = "and") -> str:
    """Return names as a phrase: `a, b and c`."""
    if len(names) <= 1:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 4]} ..."


def _json_safe(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _json_safe(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
