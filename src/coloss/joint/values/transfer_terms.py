"""The transfer terms of an objective on one batch: who teaches whom, on which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import ops

from coloss.joint.auxiliary import AuxiliaryLayers
from coloss.joint.inputs.missing_rows import both, replace_rows
from coloss.joint.keras_internals import mask_of
from coloss.joint.outputs.logits import Logits
from coloss.joint.values.projectors import Key
from coloss.joint.values.term_schedule import OPTIONS
from coloss.objective import reach
from coloss.objective.expression import Call, Edge, Port
from coloss.objective.rows import Atom, Form
from coloss.transfer import TERMS, Term, gate
from coloss.transfer.pooling import align
from coloss.transfer.projector import NONE

if TYPE_CHECKING:
    from coloss.joint.values.batch_values import BatchValues

Tensor = Any

# Options that are read here, not by the term's own function.
_OURS = ("detach", "gate", *OPTIONS)


class TransferTerms:
    """Evaluates transfer terms on one batch.

    Args:
        batch: outputs, taps, labels and losses.
        auxiliary: layers beside the members.
    """

    def __init__(self, batch: BatchValues, auxiliary: AuxiliaryLayers) -> None:
        """Store the parts; nothing is computed before it is asked for."""
        self.batch, self.auxiliary = batch, auxiliary
        self.responses = Logits(batch.forward.outputs, batch.losses, batch.members)

    def make_projectors(self) -> None:
        """Create the projectors for the shapes of this batch."""

        def shapes_of(key: Key) -> tuple[Any, Any]:
            term, learner, source = key
            entry = TERMS[term.function]
            values = [self._read(term, entry, port, None) for port in key[1:]]
            try:
                pair = self.aligned(entry, learner, source, *values)
            except ValueError as error:
                raise ValueError(f"`{term}`: {error}") from error
            return _static(pair[0].shape), _static(pair[1].shape)

        self.auxiliary.projectors.create(shapes_of)

    def observe(self, training: bool) -> None:
        """Count how often each member that a gate compares is right."""
        found = {}
        for name in self.auxiliary.running_accuracy.names:
            classes = self.batch.classes(name)
            if classes is None:
                raise ValueError(
                    f'gate="network" compares accuracies, and {name!r} has no class '
                    "labels."
                )
            known = classes >= 0
            present = self.batch.forward.present.get(name)
            if present is not None:
                known = ops.logical_and(known, present)
            logits = self.responses.logits(name, None)
            hit = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), classes)
            found[name] = (
                ops.sum(ops.cast(ops.logical_and(hit, known), "float32")),
                ops.sum(ops.cast(known, "float32")),
            )
        self.auxiliary.running_accuracy.observe(found, training)

    def value(self, term: Call) -> Form:
        """Return a transfer term's value as a linear form.

        A term outside its window is not computed.
        """
        factor = self.auxiliary.schedule.factor(term)
        if factor is None:
            return self._total(term)
        self._read_ahead(term)
        value = ops.cond(
            factor > 0,
            lambda: factor * self._total(term).value(),
            lambda: ops.zeros((), dtype="float32"),
        )
        return Form.of(Atom(value))

    def _read_ahead(self, term: Call) -> None:
        """Compute outside of a branch what the batch keeps for other terms."""
        for edge in reach.edges(term):
            self.batch.labels(edge.learner.member)
            if TERMS[term.function].level == "losses":
                for port in (edge.learner, *edge.sources):
                    self.batch.atom(port.member)

    def _total(self, term: Call) -> Form:
        total = Form()
        for edge in reach.edges(term):
            total = total.plus(self._edge(term, edge))
        return total

    def _edge(self, term: Call, edge: Edge) -> Form:
        sources = [source for source in edge.sources if source != edge.learner]
        if TERMS[term.function].sources != "one":
            return Form.of(self._apply(term, edge.learner, sources))
        # Each source teaches on the rows that it sees; weight 1 stays weight 1.
        total = Form()
        for source in sources:
            total = total.plus(Form.of(self._apply(term, edge.learner, [source])))
        return total.scaled(1.0 / len(sources))

    def _apply(self, term: Call, learner: Port, sources: list[Port]) -> Atom:
        entry = TERMS[term.function]
        mask = self._rows(entry, learner, sources)
        options: dict[str, Any] = {
            key: value for key, value in term.options if key not in _OURS
        }
        if entry.labels != "none":
            options["labels"] = self._labels(term, entry, learner.member)
        if entry.source_masks:
            # A row without one of its sources is taught by the others.
            options["source_masks"] = [self._seen(entry, port) for port in sources]
        if term.option("gate") == "row":
            options["weights"] = self._row_gate(term, learner, sources)
        tensors = self._tensors(term, entry, learner, sources, mask)
        try:
            value = entry.function(*tensors, mask=mask, **options)
        except ValueError as error:
            raise ValueError(f"`{term}`: {error}") from error
        value = ops.cast(value, "float32")
        if term.option("gate") == "network":
            accuracy = self.auxiliary.running_accuracy
            value = value * accuracy.trust(learner.member, sources[0].member)
        return Atom(value, None if mask is None else ops.any(mask))

    def _rows(self, entry: Term, learner: Port, sources: list[Port]) -> Tensor | None:
        """Return the rows that count: present everywhere, labelled as the term asks."""
        mask = self._seen(entry, learner)
        if not entry.source_masks:
            for port in sources:
                mask = both(mask, self._seen(entry, port))
        labels = self.batch.labels(learner.member)
        rows = None if labels is None else labels.rows
        size = self.batch.forward.size
        if entry.scope == "labeled":
            if labels is None:
                rows = ops.zeros((size,), dtype="bool")
            return both(mask, rows)
        if entry.scope == "unlabeled" and labels is not None:
            if rows is None:
                return ops.zeros((size,), dtype="bool")
            return both(mask, ops.logical_not(rows))
        return mask

    def _seen(self, entry: Term, port: Port) -> Tensor | None:
        """Return the rows on which a term can read a member; None: all."""
        if entry.level == "losses":
            return self.batch.atom(port.member).mask
        return self.batch.forward.present.get(port.member)

    def _labels(self, term: Call, entry: Term, member: str) -> Tensor | None:
        found = self.batch.classes(member)
        if found is None and entry.labels == "required":
            raise ValueError(f"`{term}` needs class labels of {member!r}; it has none.")
        return found

    def _row_gate(self, term: Call, learner: Port, sources: list[Port]) -> Tensor:
        logits = self.responses.logits
        return gate.row_gate(
            logits(learner.member, term),
            logits(sources[0].member, term),
            self.batch.classes(learner.member),
        )

    def _tensors(
        self,
        term: Call,
        entry: Term,
        learner: Port,
        sources: list[Port],
        mask: Tensor | None,
    ) -> list[Tensor]:
        """Return the term's arguments: learner first, sources detached."""
        if entry.level == "losses":
            ports = (learner, *sources)
            values = [self.batch.atom(port.member).values for port in ports]
        else:
            values = [self._read(term, entry, learner, mask)]
            for port in sources:
                seen = self._seen(entry, port) if entry.source_masks else mask
                values.append(self._read(term, entry, port, seen))
        if term.option("detach", True):
            values[1:] = [ops.stop_gradient(value) for value in values[1:]]
        if entry.level != "features" or len(values) != 2:
            return values
        try:
            pair = self.aligned(entry, learner, sources[0], *values)
        except ValueError as error:
            raise ValueError(f"`{term}`: {error}") from error
        if entry.projector == NONE:
            return list(pair)
        return list(self.auxiliary.projectors[term, learner, sources[0]](*pair))

    def aligned(
        self, entry: Term, learner: Port, source: Port, first: Tensor, second: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return both layers' outputs in shapes that the term can compare."""
        return align(
            first,
            second,
            self._positions(learner),
            self._positions(source),
            positions=entry.positions,
            vectors=entry.projector == "both",  # Embeddings are of whole rows.
        )

    def _positions(self, port: Port) -> Tensor | None:
        value = self.batch.forward.taps.get((port.member, port.path))
        return None if value is None else mask_of(value)

    def _read(self, term: Call, entry: Term, port: Port, mask: Tensor | None) -> Tensor:
        if port.path:
            value = self.batch.forward.taps[port.member, port.path]
            if not hasattr(value, "shape"):
                raise ValueError(
                    f"`{term}`: layer `{port}` returns a {type(value).__name__}; "
                    "expected one tensor."
                )
        else:
            value = self.responses.at(entry.level, port.member, term)
        return replace_rows(value, mask, 1.0)


def _static(shape: Any) -> tuple[int | None, ...]:
    """Return a shape as plain numbers; what is not known yet is None."""
    return tuple(size if isinstance(size, int) else None for size in shape)
