"""One training step's loss under a weighting or an aggregator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import keras
from keras import ops

from coloss.joint.autodiff import head_rows
from coloss.joint.balance.gradient_basis import GradientBasis
from coloss.joint.balance.gramian import gramian_of, weighted_sum
from coloss.joint.balance.protocols import BalancedModel, BalancedSettings
from coloss.joint.balance.weighers import Scores, Weighed
from coloss.joint.keras_internals import attach_mask, mask_of
from coloss.joint.outputs.forward import Forward
from coloss.joint.outputs.layer_outputs import Path
from coloss.joint.outputs.logits import Logits
from coloss.joint.values.batch_values import BatchValues
from coloss.objective.rows import Atom, Form, evaluate
from coloss.typing import ByMember, Tensor

Logged: TypeAlias = dict[str, tuple[Tensor, Tensor]]
"""The mean and the rows of each entry of the history."""

Leaf: TypeAlias = tuple[str, Path | None]
"""A member, and a layer of it; None: its output."""


class BalancedLoss:
    """Evaluates an objective on one batch, weighed and combined.

    Args:
        model: the joint model.
        batch: what the objective's names mean.
        labels: (y, sample_weight), of which a batch is made anew.
    """

    def __init__(
        self,
        model: BalancedModel,
        batch: BatchValues,
        labels: tuple[ByMember, ByMember],
    ) -> None:
        """Store the parts; nothing is computed before it is asked for."""
        self.model, self.batch, self._labels = model, batch, labels
        self.settings = model.compiled_settings
        self.balance = model._auxiliary.balance
        self.size = batch.forward.size

    def total(self, training: bool) -> tuple[Tensor, Logged]:
        """Return the loss, and the parts for the history.

        Its value is the objective's. Its gradient is that of the weighted and
        combined objective, except where the train step combines gradients itself:
        then the summands are left for it in the step's context.

        Args:
            training: whether this is a training step.
        """
        regular = self._regularizers()
        level = self.balance.level if training else None
        if level == "output":
            return self._at_outputs(regular)
        forms, values, parts = self._values(self.batch)
        plain = _sum(values) + regular
        if not training:
            if self.balance.plan.validates:
                self.balance.weigher.validate(self._scores())
            return plain, parts
        weighed = self._weigh(values)
        summands = weighed.apply(values)
        rest = regular if weighed.penalty is None else regular + weighed.penalty
        if self.balance.combines:
            basis = GradientBasis(summands, rest, bool(self.model.losses))
            self._hand_over(basis, forms, values, weighed)
        if level == "coefficient":
            moved = self._at_coefficients(forms, values, weighed)
            return _valued(plain, moved + rest), parts
        return _valued(plain, _sum(summands) + rest), parts

    def _hand_over(
        self,
        basis: GradientBasis,
        forms: list[Form],
        values: list[Tensor],
        weighed: Weighed,
    ) -> None:
        """Leave the summands for the train step, which combines their gradients."""
        owners = {atom: name for name, atom in self.batch.atoms.items()}
        reached = self.balance.plan.reached
        groups = self.balance.groups
        basis.divide(forms, values, weighed.weights, groups, reached, owners)
        self.model._step_context.basis = basis

    def _regularizers(self) -> Tensor:
        total = ops.zeros((), dtype="float32")
        for regularizer in self.model.losses:
            total = total + ops.sum(ops.cast(regularizer, "float32"))
        return total

    def _values(self, batch: BatchValues) -> tuple[list[Form], list[Tensor], Logged]:
        """Return the summands, their values, and the parts for the history."""
        forms = [evaluate(one, batch) for one, _ in self.settings.summands]
        values = [form.value() for form in forms]
        names = [name for _, name in self.settings.summands]
        parts: Logged = {n: (v, self.size) for n, v in zip(names, values, strict=True)}
        parts |= member_means(self.settings, batch, self.size)
        return forms, values, parts

    def _weigh(self, values: list[Tensor]) -> Weighed:
        """Take one step of the weighting."""
        weigher, epoch = self.balance.weigher, self.model._auxiliary.schedule.epoch
        if self.balance.networks:
            weigher.pace(self._scores(), epoch)
        return weigher.weigh(_detached(values), epoch)

    def _scores(self) -> Scores:
        """Return what a weighting of networks reads of this batch."""
        plan = self.balance.plan
        reads, batch = plan.method.reads, self.batch
        responses = Logits(batch.forward.outputs, batch.losses, batch.members)
        found = []
        for name in plan.networks:
            if batch.labels(name) is None:
                found.append((ops.zeros(()), ops.zeros(())))
            elif reads == "loss":
                atom = batch.atom(name)
                count = ops.cast(self.size, "float32")
                if atom.mask is not None:
                    count = ops.sum(ops.cast(atom.mask, "float32"))
                found.append((atom.mean, count))
            else:
                found.append(_true_class(batch, responses, name, reads))
        numbers = ops.stack([ops.cast(n, "float32") for n, _ in found])
        rows = ops.stack([ops.cast(r, "float32") for _, r in found])
        return Scores(ops.stop_gradient(numbers), ops.stop_gradient(rows))

    # --- coefficients ------------------------------------------------------------

    def _at_coefficients(
        self, forms: list[Form], values: list[Tensor], weighed: Weighed
    ) -> Tensor:
        """Return a sum of the members' losses with combined coefficients.

        Of an objective that adds up losses, the summands' gradients at a member are
        one direction, grad L, times the coefficients c: their Gramian is c c^T, up to
        the square of its length.
        """
        weights = weighed.weights
        if weights is not None:
            forms = [form.scaled(weights[k]) for k, form in enumerate(forms)]
        groups = {group.owners[0]: group for group in self.balance.groups}
        table, gramians = {}, []
        for member, group in groups.items():
            atom = self.batch.atom(member)
            factors = [forms[k].terms.get(atom, 0.0) for k in group.summands]
            table[member] = ops.stack(
                [ops.convert_to_tensor(factor, dtype="float32") for factor in factors]
            )
            own = ops.expand_dims(ops.stop_gradient(table[member]), -1)
            lone = len(factors) < 2
            gramians.append(None if lone else ops.matmul(own, ops.transpose(own)))
        combined = self.balance.aggregate(gramians, _detached(values))
        trained = weights is not None or self.model._coefficients.trainable_variables
        total = ops.zeros((), dtype="float32")
        for (member, factors), own in zip(table.items(), combined, strict=True):
            loss = self.batch.atom(member).mean
            fixed = ops.stop_gradient(factors)
            both = ops.sum(fixed) if own is None else ops.sum(fixed * own)
            total = total + both * loss
            if trained:  # They move as in the plain objective.
                total = total + ops.sum(factors) * ops.stop_gradient(loss)
        if trained:  # So does the price of one, which is no loss of anybody.
            total = total + sum(form.constant for form in forms)
        return total

    # --- outputs -----------------------------------------------------------------

    def _at_outputs(self, regular: Tensor) -> tuple[Tensor, Logged]:
        """Return the loss whose gradient is combined at the members' outputs.

        A summand's gradient at what terms read of a member, its outputs and layers,
        costs no pass through the network. These are combined, and one pass takes the
        result through each network.
        """
        keys, leaves = _leaves(self.batch.forward)
        leaves = [_wide(leaf) for leaf in leaves]

        def head(moved: list[Tensor]) -> tuple[list[Tensor], Logged]:
            forward = _with_leaves(self.batch.forward, keys, moved)
            batch = self.model.batch_of(forward, *self._labels, training=True)
            return self._values(batch)[1:]

        values, parts, rows = head_rows(head, leaves)
        weighed = self._weigh(values)
        cotangents, gramians = [], []
        for group in self.balance.groups:
            own = [i for i, (member, _) in enumerate(keys) if member == group.owners[0]]
            found = [
                [weighed.scale(rows[k][i], k) for i in own] for k in group.summands
            ]
            cotangents.append((own, found))
            gramians.append(gramian_of(found) if len(found) > 1 else None)
        combined = self.balance.aggregate(gramians, _detached(values))
        surrogate = ops.zeros((), dtype="float32")
        for (own, found), weight in zip(cotangents, combined, strict=True):
            ones = ops.ones((len(found),), dtype="float32")
            for i, part in zip(
                own,
                weighted_sum(found, ones if weight is None else weight),
                strict=True,
            ):
                pull = ops.stop_gradient(ops.cast(part, "float32"))
                surrogate = surrogate + ops.sum(pull * ops.cast(leaves[i], "float32"))
        plain = _sum(values) + regular
        # Projectors and trained coefficients move as in the plain objective.
        moved = _sum(weighed.apply(values)) + surrogate + regular
        if weighed.penalty is not None:
            moved = moved + weighed.penalty
        return _valued(plain, moved), parts


def member_means(
    settings: BalancedSettings, batch: BatchValues, size: Tensor
) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Return each member's own mean loss and the rows that it is a mean of.

    Args:
        settings: the resolved arguments of `compile`.
        batch: what names mean on it.
        size: its rows.
    """
    return {
        f"{member}_loss": _mean_and_rows(batch.atom(member), size)
        for member in settings.losses
        if batch.labels(member) is not None
    }


def _mean_and_rows(atom: Atom, size: Tensor) -> tuple[Tensor, Tensor]:
    if atom.mask is None:
        return atom.mean, size
    return atom.mean, ops.sum(ops.cast(atom.mask, "float32"))


def _true_class(
    batch: BatchValues, responses: Logits, name: str, reads: str
) -> tuple[Tensor, Tensor]:
    """Return the mean probability of the true class, or its surprise, and the rows."""
    found = batch.counted_classes(name)
    if found is None:
        return ops.zeros(()), ops.zeros(())
    classes, known = found
    logs = ops.log_softmax(responses.logits(name, None), axis=-1)
    true = ops.one_hot(classes, logs.shape[-1], dtype="float32")
    log = ops.sum(logs * true, axis=-1)
    number = ops.exp(log) if reads == "probability" else -log
    counted = ops.cast(known, "float32")
    rows = ops.sum(counted)
    total = ops.sum(ops.where(known, number, ops.zeros_like(number)))
    return total / ops.maximum(rows, 1.0), rows


def _leaves(forward: Forward) -> tuple[list[Leaf], list[Tensor]]:
    """Return what terms read of the members: outputs, and layers with their path."""
    found: list[tuple[Leaf, Tensor]] = [
        ((name, None), output) for name, output in forward.outputs.items()
    ]
    found += [
        ((name, path), value)
        for (name, path), value in forward.taps.items()
        if hasattr(value, "shape")
    ]
    return [key for key, _ in found], [value for _, value in found]


def _wide(leaf: Tensor) -> Tensor:
    """Return a tensor in float32 where a small gradient would not fit its type."""
    narrow = keras.backend.standardize_dtype(leaf.dtype) in ("float16", "bfloat16")
    return ops.cast(leaf, "float32") if narrow else leaf


def _with_leaves(forward: Forward, keys: list[Leaf], leaves: list[Tensor]) -> Forward:
    """Return a forward pass with other tensors in the places of `_leaves`."""
    outputs, taps = dict(forward.outputs), dict(forward.taps)
    for (name, path), leaf in zip(keys, leaves, strict=True):
        before = outputs[name] if path is None else taps[name, path]
        mask = mask_of(before)
        if mask is not None:
            attach_mask(leaf, mask)
        if path is None:
            outputs[name] = leaf
        else:
            taps[name, path] = leaf
    return replace(forward, outputs=outputs, taps=taps)


def _sum(values: list[Tensor]) -> Tensor:
    total: Tensor = 0.0
    for value in values:
        total = total + value
    return total


def _detached(values: list[Tensor]) -> Tensor:
    return ops.stop_gradient(ops.stack(values))


def _valued(value: Tensor, moved: Tensor) -> Tensor:
    """Return a tensor of one value with the gradient of another."""
    return moved + ops.stop_gradient(value - moved)
