"""A classifier's outputs as logits, whatever its loss takes them to be."""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import ops

from coloss.joint.outputs.head import SOFTMAX, find_head
from coloss.joint.recorded import LOGITS, VALUES, kind_of
from coloss.joint.supervision.member_loss import (
    BINARY,
    CLASSES,
    CUSTOM,
    REGRESSION,
    SPARSE,
    MemberLoss,
)
from coloss.objective.expression import Call
from coloss.typing import Tensor

# The smallest normal float32: an underflowed probability has no gradient.
_TINY = 1.1754944e-38


class Logits:
    """The members' outputs as transfer terms need them.

    Args:
        outputs: (batch, ...) by member.
        losses: the members' losses: they say what outputs are.
        members: the networks, asked whether they end in a softmax.
    """

    def __init__(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, MemberLoss],
        members: Mapping[str, keras.Model],
    ) -> None:
        """Store the parts."""
        self.outputs, self.losses, self.members = outputs, losses, members

    def _loss(self, name: str) -> MemberLoss | None:
        """Return what says what a member's outputs are."""
        found = self.losses.get(name)
        if found is None and name in self.members:
            return reading_of(name, self.members[name], self.outputs[name])
        return found

    def at(self, level: str, name: str, term: Call) -> Tensor:
        """Return a member's output at the level that a term reads.

        Args:
            level: "classes" (logits), "outputs" (logits, or a regression's values) or
                "features" (as it is).
            name: the member.
            term: for messages.

        Returns:
            (batch, ..., channels); the classes are the last axis, whichever axis of the
            outputs the loss takes them from.
        """
        output, loss = self.outputs[name], self._loss(name)
        if level == "classes":
            return self.logits(name, term)
        if level != "outputs" or loss is None or loss.kind not in CLASSES:
            return output
        if loss.kind != BINARY:
            return self.logits(name, term)
        output = classes_last(output, loss)
        return output if loss.from_logits else _log(output) - _log(1.0 - output)

    def logits(self, name: str, term: Call | None) -> Tensor:
        """Return a classifier's outputs as logits (batch, ..., classes).

        Probabilities are turned into log-probabilities, whose softmax they are. A
        binary output p becomes the two classes (1 - p, p).

        Raises:
            ValueError: if the member is no classifier, or its outputs are unknown.
        """
        loss = self._loss(name)
        output = ops.cast(self.outputs[name], "float32")
        kind = CUSTOM if loss is None else loss.kind
        if kind not in (*CLASSES, CUSTOM):
            way = (
                "Numbers have no confidence by which rows could be chosen."
                if str(term).startswith("pseudo_label(")
                else "Use match_logits(source >> learner), or tap a layer with cka or "
                "sp."
            )
            raise ValueError(
                f"`{term}` compares class probabilities, and {name!r} has a {kind} "
                f"loss. {way}"
            )
        from_logits = self._from_logits(name, loss, term)
        if loss is not None:
            output = classes_last(output, loss)
        if kind == BINARY:
            return _two_classes(output, from_logits, name, term)
        return output if from_logits else _log(output)

    def _from_logits(
        self, name: str, loss: MemberLoss | None, term: Call | None
    ) -> bool:
        if loss is not None and loss.from_logits is not None:
            return loss.from_logits
        if name in self.members and find_head(self.members[name]).kind == SOFTMAX:
            return False
        raise ValueError(
            f"`{term}`: it is not visible whether {name!r} returns logits or "
            "probabilities. Give it a loss with `from_logits`, or end it in a softmax "
            "layer."
        )


def reading_of(name: str, member: keras.Model, output: Tensor) -> MemberLoss | None:
    """Return how recorded predictions are read, as a loss would say it.

    Args:
        name: the member.
        member: a network, or recorded predictions.
        output: (batch, ...) of it.

    Returns:
        None for a network.
    """
    recorded = kind_of(member)
    if recorded is None:
        return None
    one = len(output.shape) == 1 or output.shape[-1] == 1
    kind = BINARY if one else SPARSE
    if recorded == VALUES:
        kind = REGRESSION
    return MemberLoss(name, _no_loss, kind, recorded == LOGITS)


def with_readings(
    members: Mapping[str, keras.Model],
    outputs: Mapping[str, Tensor],
    losses: Mapping[str, MemberLoss],
) -> dict[str, MemberLoss]:
    """Return the losses, and how recorded predictions are read beside them."""
    found = {n: reading_of(n, members[n], output) for n, output in outputs.items()}
    return {**{n: one for n, one in found.items() if one is not None}, **losses}


def _no_loss(labels: Tensor, outputs: Tensor) -> Tensor:
    raise NotImplementedError("recorded predictions are read, and have no loss.")


def classes_last(values: Tensor, loss: MemberLoss) -> Tensor:
    """Return a member's outputs, or labels of their shape, with the classes last."""
    if loss.axis in (-1, len(values.shape) - 1):
        return values
    return ops.moveaxis(values, loss.axis, -1)


def _two_classes(
    output: Tensor, from_logits: bool, name: str, term: Call | None
) -> Tensor:
    if len(output.shape) == 1:
        output = ops.expand_dims(output, -1)
    if output.shape[-1] != 1:
        raise ValueError(
            f"`{term}`: {name!r} has {output.shape[-1]} independent yes/no outputs, no "
            "distribution over classes. Use match_logits(source >> learner)."
        )
    if from_logits:
        return ops.concatenate([ops.zeros_like(output), output], axis=-1)
    return ops.concatenate([_log(1.0 - output), _log(output)], axis=-1)


def _log(probabilities: Tensor) -> Tensor:
    return ops.log(ops.maximum(probabilities, _TINY))
