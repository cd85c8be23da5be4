"""What the names of an objective mean on one batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import keras
from keras import ops

from coloss.joint.autodiff import across_replicas_sum, replicas
from coloss.joint.members import FUSED
from coloss.joint.outputs.forward import Forward
from coloss.joint.outputs.logits import classes_last
from coloss.joint.supervision.class_weights import ClassWeights
from coloss.joint.supervision.label_range import within_range
from coloss.joint.supervision.labels import Labels, read_labels
from coloss.joint.supervision.member_loss import BINARY, CLASSES, DENSE, MemberLoss
from coloss.joint.supervision.positions import Positions, find_positions
from coloss.joint.supervision.row_losses import row_losses
from coloss.joint.values.protocols import TermLayers
from coloss.joint.values.transfer_terms import TransferTerms
from coloss.objective.expression import Call
from coloss.objective.rows import Atom, Form
from coloss.transfer.masks import both, keep, raised
from coloss.typing import Tensor


class BatchValues:
    """The values of losses, coefficients and transfer terms on one batch.

    Args:
        forward: outputs and taps of every member.
        members: the networks, asked whether they end in a softmax.
        losses: the members' losses.
        labels: raw labels by member; a member may have none.
        weights: sample weights by member: (batch,), or of any shape that broadcasts
            to the member's loss values (batch, ...).
        coefficients: variables by name.
        layers: those beside the members that transfer terms need.
        labeled: members known to have a label on every row; not looked at.
        class_weights: weights of the classes, by member.

    Attributes:
        atoms: supervised losses by member, of those read so far.
        raw_labels: labels by member as the user gave them.
        out_of_range: labels that stand for no class, by member, of those read so far.
        across: sums a scalar over the replicas; None: there is one.
    """

    def __init__(
        self,
        forward: Forward,
        members: Mapping[str, keras.Model],
        losses: dict[str, MemberLoss],
        labels: dict[str, Tensor],
        weights: dict[str, Tensor],
        coefficients: Mapping[str, keras.Variable],
        layers: TermLayers | None = None,
        labeled: Collection[str] = (),
        class_weights: Mapping[str, ClassWeights] | None = None,
    ) -> None:
        """Store the parts; nothing is computed before it is asked for."""
        self.forward, self.members, self.losses = forward, members, losses
        self.weights, self.coefficients = weights, coefficients
        self._layers, self._labeled = layers, labeled
        self.raw_labels, self._class_weights = labels, class_weights or {}
        self._labels: dict[str, Labels] = {}
        self._positions: dict[str, Positions] = {}
        self.out_of_range: dict[str, Tensor] = {}
        self.atoms: dict[str, Atom] = {}
        self.across: Callable[[Tensor], Tensor] | None = None
        if replicas() > 1:
            self.across = across_replicas_sum

    def labels(self, name: str) -> Labels | None:
        """Return a member's labels, or None where it has none."""
        if name not in self.raw_labels or name not in self.losses:
            return None
        if name not in self._labels:
            labels, complete = self.raw_labels[name], name in self._labeled
            loss, shape = self.losses[name], tuple(self.forward.outputs[name].shape)
            if not complete:
                labels, number = within_range(labels, loss, shape[loss.axis])
                if number is not None:
                    self.out_of_range[name] = number
            self._labels[name] = read_labels(labels, loss, shape, complete)
        return self._labels[name]

    def positions(self, name: str) -> Positions:
        """Return which positions of a member count for its loss and its metrics.

        A position counts where its label is known and not the loss's `ignore_class`,
        its row has an input, and no mask of Keras hides it.
        """
        if name not in self._positions:
            labels = self.labels(name)
            self._positions[name] = find_positions(
                name,
                None if labels is None else labels.known,
                self.forward.present.get(name),
                self.forward.masks.get(name),
                None if labels is None else self._weight(name, labels),
            )
        return self._positions[name]

    def _weight(self, name: str, labels: Labels) -> Tensor | None:
        """Return sample weight times class weight; None: 1."""
        weight = self.weights.get(name)
        if weight is not None:
            weight = ops.cast(weight, "float32")
        if name not in self._class_weights:
            return weight
        rank = len(self.forward.outputs[name].shape)
        by_class = self._class_weights[name].of(labels, self.losses[name], rank)
        if weight is None:
            return by_class
        rank = max(len(weight.shape), len(by_class.shape))
        return raised(weight, rank) * raised(by_class, rank)

    def atom(self, name: str) -> Atom:
        """Return a member's supervised loss, row by row.

        Raises:
            ValueError: if the member has no loss or no labels.
        """
        if name in self.atoms:
            return self.atoms[name]
        labels = self.labels(name)
        if labels is None:
            what = "loss" if name not in self.losses else "labels"
            raise ValueError(
                f"the objective reads the loss of {name!r}, which has no {what}."
            )
        positions = self.positions(name)
        values, weight = row_losses(
            self.losses[name], labels, self.forward.outputs[name], positions
        )
        self.atoms[name] = Atom(values, positions.rows, weight, self.across)
        return self.atoms[name]

    def loss(self, member: str) -> Form:
        """Return a member's loss as a linear form (`Values` protocol)."""
        return Form.of(self.atom(member))

    def coefficient(self, name: str) -> Tensor:
        """Return a coefficient's present value (`Values` protocol)."""
        found = self.coefficients[name]  # A variable, a trained one, or a number.
        return ops.convert_to_tensor(getattr(found, "value", found), dtype="float32")

    def transfer(self, term: Call) -> Form:
        """Return a transfer term's value (`Values` protocol)."""
        if self._layers is None:
            raise RuntimeError(f"`{term}`: a batch without layers has no terms.")
        return TransferTerms(self, self._layers).value(term)

    def classes(self, name: str) -> Tensor | None:
        """Return a member's true classes (batch, ...), -1 where there is none.

        One for each row or position: a label that is not known, or is the class that
        the loss ignores, is none. None where the member has no labels, or is no
        classifier.
        """
        labels, loss = self.labels(name), self.losses.get(name)
        if labels is None or loss is None or loss.kind not in CLASSES:
            return None
        values = labels.values
        if loss.kind == DENSE:
            values = ops.argmax(classes_last(values, loss), axis=-1)
        elif loss.kind == BINARY and values.shape[-1] == 1:
            values = ops.squeeze(values, axis=-1)
        values = ops.cast(values, "int32")
        return keep(values, labels.known, -1)

    def unlabeled(self, name: str) -> Tensor | None:
        """Return where a member has no label: (batch,) or (batch, ...) bool.

        What the loss ignores by `ignore_class` is neither labeled nor unlabeled.
        None where the member has no labels at all.
        """
        labels, loss = self.labels(name), self.losses.get(name)
        if labels is None or loss is None:
            return None
        if labels.known is None:
            return ops.zeros((self.forward.size,), dtype="bool")
        free = ops.logical_not(labels.known)
        # -1 is unlabeled whether or not the loss ignores it as well.
        if loss.ignore_class is None or loss.ignore_class < 0:
            return free
        raw = ops.convert_to_tensor(self.raw_labels[name])
        raw = ops.reshape(raw, ops.shape(free))
        return ops.logical_and(free, ops.not_equal(raw, loss.ignore_class))

    def _labeled_as(self, name: str, judge: str | None) -> str:
        """Return whose labels a member is measured on: its own, if it has a loss."""
        return name if judge is None or name in self.losses else judge

    def counted_classes(
        self, name: str, judge: str | None = None
    ) -> tuple[Tensor, Tensor] | None:
        """Return a member's true classes, and where they and its output count.

        Args:
            name: the member.
            judge: another one, whose labels count where it has no loss of its own.

        Returns:
            (batch, ...) classes, 0 where nothing counts, and (batch, ...) bool; None
            as `classes`.
        """
        classes = self.classes(self._labeled_as(name, judge))
        if classes is None:
            return None
        known = both(classes >= 0, self.forward.present.get(name))
        known = both(known, self.forward.masks.get(name))
        return keep(classes, known), known

    def counted_numbers(
        self, name: str, judge: str | None = None
    ) -> tuple[Tensor, Tensor] | None:
        """Return a member's labels that are numbers, and which rows of it count.

        Args:
            name: the member.
            judge: another one, whose labels count where it has no loss of its own.

        Returns:
            (batch, values) float32 and (batch,) bool; None where there is no label.
        """
        labels = self.labels(self._labeled_as(name, judge))
        if labels is None:
            return None
        values = ops.cast(labels.values, "float32")
        values = ops.reshape(values, (ops.shape(values)[0], -1))
        known = both(labels.rows, self.forward.present.get(name))
        if known is None:
            known = ops.ones((ops.shape(values)[0],), dtype="bool")
        return values, known


def fused_loss(losses: dict[str, MemberLoss]) -> MemberLoss | None:
    """Return what labels and outputs of the fused prediction are.

    Its outputs are probabilities where the members are classifiers.
    """
    for loss in losses.values():
        logits = False if loss.kind in CLASSES else loss.from_logits
        return replace(loss, name=FUSED, from_logits=logits)
    return None
