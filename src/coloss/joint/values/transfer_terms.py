"""The transfer terms of an objective on one batch: who teaches whom, on which rows."""

from __future__ import annotations

from typing import Any

from keras import ops

from coloss.joint.keras_internals import mask_of
from coloss.joint.outputs.logits import Logits
from coloss.joint.outputs.positions import Reading, read_masked
from coloss.joint.values.projectors import Key
from coloss.joint.values.protocols import SupervisedBatch, TermLayers
from coloss.joint.values.running_errors import Errors
from coloss.joint.values.term_schedule import OPTIONS
from coloss.objective import reach
from coloss.objective.expression import Call, Edge, Port
from coloss.objective.rows import Atom, Form
from coloss.transfer import TERMS, Term, confidence_weights, gate
from coloss.transfer.masks import both, masked_mean, rows_of
from coloss.transfer.pooling import Aligned, align
from coloss.transfer.projector import BOTH, NONE
from coloss.transfer.terms import (
    CLASSES,
    FEATURES,
    LOSSES,
    OUTPUTS,
    PRESENT,
    UNLABELED,
)
from coloss.typing import Shape, Tensor

# Options that are read here, not by the term's own function.
_OURS = ("detach", "gate", "weights", *OPTIONS)
_GATES_OF_ROWS = ("row", "rank")


class TransferTerms:
    """Evaluates transfer terms on one batch.

    Args:
        batch: outputs, taps, labels and losses.
        layers: projectors, schedule and accuracies beside the members.
    """

    def __init__(self, batch: SupervisedBatch, layers: TermLayers) -> None:
        """Store the parts; nothing is computed before it is asked for."""
        self.batch, self.layers = batch, layers
        self.responses = Logits(batch.forward.outputs, batch.losses, batch.members)

    def make_projectors(self) -> None:
        """Create the projectors for the shapes of this batch."""

        def shapes_of(key: Key) -> tuple[Shape, Shape]:
            term, *ports = key
            readings = [self._reading(term, port) for port in ports]
            pair = _aligned(term, *readings)
            return _static(pair.learner.shape), _static(pair.source.shape)

        self.layers.projectors.create(shapes_of)

    def observe(self, training: bool) -> None:
        """Count how often each member that a gate compares is right."""
        found, accuracy = {}, self.layers.running_accuracy
        errors = {name: self._errors(name) for name in accuracy.numbers}
        for name in accuracy.names:
            judge = accuracy.judges.get(name)
            if name in errors:
                found[name] = errors[name].rows, errors[name].rows
                continue
            counted = self.batch.counted_classes(name, judge)
            if counted is None:
                raise ValueError(
                    f'gate="network" compares accuracies, and {name!r} has no class '
                    "labels."
                )
            classes, known = counted
            logits = self.responses.logits(name, None)
            hit = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), classes)
            right = ops.sum(ops.cast(ops.logical_and(hit, known), "float32"))
            rows = ops.sum(ops.cast(known, "float32"))
            if self.batch.across is not None:
                right, rows = self.batch.across(right), self.batch.across(rows)
            found[name] = right, rows
        accuracy.observe(found, training, errors)

    def _errors(self, name: str) -> Errors:
        """Return how far a member that predicts numbers is off on this batch."""
        values = self.batch.forward.outputs[name]
        counted = self.batch.counted_numbers(
            name, self.layers.running_accuracy.judges.get(name)
        )
        if counted is None:
            raise ValueError(
                f'gate="network" compares skills, and {name!r} has no labels.'
            )
        labels, known = counted
        values = ops.cast(ops.reshape(values, ops.shape(labels)), "float32")
        weight = ops.expand_dims(ops.cast(known, "float32"), -1)

        def total(of: Tensor) -> Tensor:
            # Rows that do not count may hold NaN.
            here = ops.where(weight > 0, of, ops.zeros_like(of))
            found = ops.sum(here, axis=0)
            return found if self.batch.across is None else self.batch.across(found)

        rows = total(weight)
        means = ops.divide_no_nan(total(labels), rows)
        squares = total(ops.square(labels - values))
        return Errors(rows[0], squares, means, total(ops.square(labels - means)))

    def value(self, term: Call) -> Form:
        """Return a transfer term's value as a linear form.

        A term outside its window is not computed.
        """
        factor = self.layers.schedule.factor(term)
        if factor is None:
            return self._total(term)
        if self.batch.across is not None:
            # Replicas cannot meet inside a branch that each takes by itself.
            return self._total(term).scaled(factor)
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
            if TERMS[term.function].level == LOSSES:
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
        total, trust = Form(), self._confidences(term, edge.learner, sources)
        for source in sources:
            value = self._apply(term, edge.learner, [source], trust.get(source))
            total = total.plus(Form.of(value))
        return total.scaled(1.0 / len(sources))

    def _confidences(
        self, term: Call, learner: Port, sources: list[Port]
    ) -> dict[Port, Tensor]:
        """Return factors of rows for each source, 1 where all are as good."""
        if not _is_confident(term):
            return {}
        readings = [self._reading(term, source) for source in sources]
        values = [reading.filled(reading.known) for reading in readings]
        present = [reading.known for reading in readings]
        labels = self._labels(term, learner.member, True)
        equal = confidence_weights(*values, present=present)
        found = confidence_weights(*values, labels=labels, present=present)
        found = found / ops.where(equal > 0, equal, ops.ones_like(equal))
        return {source: found[..., place] for place, source in enumerate(sources)}

    def _apply(
        self,
        term: Call,
        learner: Port,
        sources: list[Port],
        trust: Tensor | None = None,
    ) -> Atom:
        entry = TERMS[term.function]
        readings = [self._reading(term, port) for port in (learner, *sources)]
        mask = self._counted(entry, learner.member, readings)
        options = _own_options(term, entry)
        # A term that corrects its source reads labels then only.
        if entry.labels != "none" and options.get("correct", entry.reads_labels):
            needed = options.get("correct", False) or _is_confident(term)
            needed = needed or entry.labels == "required"
            options["labels"] = self._labels(term, learner.member, needed)
        if entry.source_masks:
            # A row without one of its sources is taught by the others.
            options["source_masks"] = [reading.known for reading in readings[1:]]
        if term.option("gate") in _GATES_OF_ROWS:
            options["weights"] = self._row_gate(term, entry, learner, sources[0])
        if trust is not None:
            options["weights"] = trust * options.get("weights", 1.0)
        arguments = self._arguments(term, entry, readings, mask)
        if entry.level == FEATURES:
            pair = _aligned(term, *map(Reading.holding, readings, arguments))
            mask = both(mask, pair.mask)
            arguments = [pair.learner, pair.source]
            if entry.projector != NONE:
                key = term, learner, sources[0]
                arguments = list(self.layers.projectors[key](*arguments))
        across = self.batch.across
        if across is not None:
            _refuse_part_of_batch(term, entry)
            options["per_row"] = True
        try:
            value = entry.function(*arguments, mask=mask, **options)
        except ValueError as error:
            raise ValueError(f"`{term}`: {error}") from error
        value = ops.cast(value, "float32")
        known = None if mask is None else ops.any(mask)
        if across is not None:
            rows = Atom(value, None if mask is None else rows_of(mask), None, across)
            value, known = rows.mean, rows.known
        if term.option("gate") == "network":
            accuracy = self.layers.running_accuracy
            value = value * accuracy.trust(learner.member, sources[0].member)
        return Atom(value, known)

    def _reading(self, term: Call, port: Port) -> Reading:
        """Return what a term reads at a port, and what of it counts."""
        level, forward = TERMS[term.function].level, self.batch.forward
        if level == LOSSES:
            atom = self.batch.atom(port.member)
            return Reading(atom.values, atom.mask)
        if port.path:
            value = forward.taps[port.member, port.path]
            mask = mask_of(value)
        else:
            value = self.responses.at(level, port.member, term)
            mask = forward.masks.get(port.member)
        try:
            present = forward.present.get(port.member)
            return read_masked(str(port), value, present, mask)
        except ValueError as error:
            raise ValueError(f"`{term}`: {error}") from error

    def _counted(
        self, entry: Term, member: str, readings: list[Reading]
    ) -> Tensor | None:
        """Return what counts: there on every side, and labeled as the term asks.

        Of layers these are rows; which of their positions count is known once both
        are of one shape.
        """
        layers = entry.level == FEATURES
        known = [one.rows if layers else one.known for one in readings]
        mask = known[0]
        for other in () if entry.source_masks else known[1:]:
            mask = both(mask, other)
        if entry.scope == PRESENT:
            return mask
        scoped = self._scoped(entry, member)
        positions = len(readings[0].values.shape) - 1
        by_position = entry.level in (CLASSES, OUTPUTS)
        if scoped is not None and (not by_position or len(scoped.shape) > positions):
            # A row has a label if any of its positions has.
            scoped = _rows_in(scoped, every=entry.scope == UNLABELED)
        return both(mask, scoped)

    def _scoped(self, entry: Term, member: str) -> Tensor | None:
        """Return what is labeled, or is not, as a term asks; None: all."""
        if entry.scope == UNLABELED:
            return self.batch.unlabeled(member)
        labels = self.batch.labels(member)
        if labels is None:
            return ops.zeros((self.batch.forward.size,), dtype="bool")
        return labels.known

    def _labels(self, term: Call, member: str, needed: bool) -> Tensor | None:
        found = self.batch.classes(member)
        if found is None and needed:
            raise ValueError(f"`{term}` needs class labels of {member!r}; it has none.")
        return found

    def _row_gate(self, term: Call, entry: Term, learner: Port, source: Port) -> Tensor:
        """Return how far the source is followed: by position, or by row for layers."""
        logits, forward = self.responses.logits, self.batch.forward
        own, other = (
            read_masked(
                port.member,
                logits(port.member, term),
                forward.present.get(port.member),
                forward.masks.get(port.member),
            )
            for port in (learner, source)
        )
        known = both(own.known, other.known)
        try:
            if term.option("gate") == "rank":
                found = gate.rank_gate(own.values, other.values, known)
            else:
                labels = self.batch.classes(learner.member)
                found = gate.row_gate(own.values, other.values, labels, known)
        except ValueError as error:
            raise ValueError(f"`{term}`: {error}") from error
        if entry.level == FEATURES:
            return masked_mean(found, known, per_row=True)
        return found

    def _arguments(
        self, term: Call, entry: Term, readings: list[Reading], mask: Tensor | None
    ) -> list[Tensor]:
        """Return what a term is given: the learner's first, the sources' detached."""
        others = [
            one.filled(one.known if entry.source_masks else mask)
            for one in readings[1:]
        ]
        if term.option("detach", True):
            others = [ops.stop_gradient(other) for other in others]
        return [readings[0].filled(mask), *others]


def _refuse_part_of_batch(term: Call, entry: Term) -> None:
    """Refuse a term that compares rows where only a part of the batch is seen.

    Raises:
        ValueError: if a row has no value of its own.
    """
    if not entry.per_row or entry.level == LOSSES:
        raise ValueError(
            f"`{term}` compares the rows of a batch with each other; under a "
            "TensorFlow strategy each replica sees a part of them. Train on one "
            "device, or on JAX with keras.distribution, which sees the whole batch."
        )


def _aligned(term: Call, learner: Reading, source: Reading) -> Aligned:
    """Return both layers' outputs in shapes that the term can compare."""
    entry = TERMS[term.function]
    try:
        return align(
            learner.values,
            source.values,
            learner.positions,
            source.positions,
            positions=entry.positions,
            vectors=entry.projector == BOTH,  # Embeddings are of whole rows.
        )
    except ValueError as error:
        raise ValueError(f"`{term}`: {error}") from error


def _rows_in(mask: Tensor, every: bool) -> Tensor:
    """Return (batch,) bool: the rows of which any, or every, position is in a mask."""
    if len(mask.shape) == 1:
        return mask
    return (ops.all if every else ops.any)(mask, axis=tuple(range(1, len(mask.shape))))


def _is_confident(term: Call) -> bool:
    """Return whether sources are weighed by how well they know the label."""
    return term.option("weights") == "confidence"


def _own_options(term: Call, entry: Term) -> dict[str, Any]:
    """Return the options that the term's own function takes."""
    ours = {*_OURS, *(("dimension",) if entry.projector == BOTH else ())}
    found = {key: value for key, value in term.options if key not in ours}
    if _is_confident(term) and entry.sources == "many":
        if found.get("how", "mean") != "mean":
            raise ValueError(
                f'`{term}`: weights="confidence" weighs the mean, and how='
                f'"{found["how"]}" chooses by itself; use one of them.'
            )
        found["how"] = "confidence"
    return found


def _static(shape: Shape) -> Shape:
    """Return a shape as plain numbers; what is not known yet is None."""
    return tuple(size if isinstance(size, int) else None for size in shape)
