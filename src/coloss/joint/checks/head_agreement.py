"""Whether each network ends in what its loss expects: probabilities or logits.

The commonest mistake with Keras, and the default of many model libraries: a linear
head under a loss that takes its outputs for probabilities (or the reverse) trains
without a word, to something else. What the layers show is a warning at `compile`; what
the values prove is an error before the first step.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from coloss.joint.inputs.arrays import to_numpy
from coloss.joint.members import layers_of
from coloss.joint.outputs.forward import run_members
from coloss.joint.outputs.head import REAL, SIGMOID, SOFTMAX, UNKNOWN, Head, find_head
from coloss.joint.supervision.member_loss import BINARY, CLASSES, MemberLoss
from coloss.typing import Nested

ROWS = 32
"""So many rows are looked at: a linear head shows itself in a few."""

# Probabilities in half precision miss 0, 1 and their sum by less.
_TOLERANCE = 1e-2


def disagreements(
    members: Mapping[str, keras.Model], losses: Mapping[str, MemberLoss]
) -> list[str]:
    """Return a sentence for each member whose last layer is not what its loss expects.

    Args:
        members: the networks; need not be built.
        losses: their losses. Of a user's own loss nobody knows what it expects.
    """
    found = []
    for name, loss in losses.items():
        if name in members and _expects(loss) is not None:
            sentence = _disagreement(loss, members[name], find_head(members[name]))
            found += [sentence] if sentence else []
    return found


def check_outputs(
    members: Mapping[str, keras.Model],
    losses: Mapping[str, MemberLoss],
    x: Mapping[str, Nested],
) -> list[str]:
    """Look at the outputs on some rows, of members whose last layer is not known good.

    Args:
        members: the networks; these are built if they are not.
        losses: their losses.
        x: arrays by member, checked.

    Returns:
        A sentence for each member whose outputs are probabilities in all likelihood,
        while its loss expects logits.

    Raises:
        ValueError: if outputs are no probabilities, and the loss expects these.
    """
    found = []
    for name, loss in losses.items():
        expected = _expects(loss)
        head = find_head(members[name]) if name in members else Head(SOFTMAX)
        if expected == "probabilities" and head.kind in (REAL, UNKNOWN):
            values = _some_outputs(name, members[name], x[name])
            _refuse_logits(loss, head, values)
        elif expected == "logits" and head.kind == UNKNOWN and loss.kind != BINARY:
            # A number between 0 and 1 may be a logit; rows that sum to 1 are none.
            values = _some_outputs(name, members[name], x[name])
            if _are_distributions(values, loss.axis):
                found.append(
                    f"the loss of {name!r} expects logits (from_logits=True), and its "
                    "outputs sum to 1 over the classes on every row looked at, as "
                    "probabilities do. Leave out its softmax, or from_logits=True."
                )
    return found


def _expects(loss: MemberLoss) -> str | None:
    if loss.kind not in CLASSES or loss.from_logits is None:
        return None
    return "logits" if loss.from_logits else "probabilities"


def _right_activation(loss: MemberLoss) -> str:
    return "sigmoid" if loss.kind == BINARY else "softmax"


def _disagreement(loss: MemberLoss, member: keras.Model, head: Head) -> str | None:
    place = f"its layer {head.layer!r} ends in {head.activation!r}"
    if head.kind == SOFTMAX and _width(member) == 1:
        return (
            f"the network {loss.name!r} has one output, and {place}, which is always 1 "
            "over one value: it can learn nothing. Use activation='sigmoid'."
        )
    if _expects(loss) == "probabilities" and head.kind == REAL:
        return f"the loss of {loss.name!r} expects probabilities, and {place}. " + (
            _mend(loss, head)
        )
    if _expects(loss) == "logits" and head.kind in (SOFTMAX, SIGMOID):
        return (
            f"the loss of {loss.name!r} expects logits (from_logits=True), and {place}"
            ": they would be squashed twice. Leave out that activation, or "
            "from_logits=True."
        )
    return None


def _mend(loss: MemberLoss, head: Head) -> str:
    activation = f"activation={_right_activation(loss)!r}"
    if head.activation in ("", "linear", "log_softmax", "log_sigmoid"):
        return f"Give it {activation}, or the loss from_logits=True."
    return f"Give it {activation}, or no activation and the loss from_logits=True."


def _width(member: keras.Model) -> int | None:
    outputs = getattr(member, "outputs", None)
    return outputs[0].shape[-1] if outputs else None


def _some_outputs(name: str, member: keras.Model, x: Nested) -> np.ndarray:
    """Return outputs on the first rows that have an input; none if it must not be run.

    A network with a state, or for batches of one size only, is not run on other rows.
    """
    sizes = [tensor.shape[0] for tensor in getattr(member, "inputs", None) or []]
    stateful = any(getattr(layer, "stateful", False) for layer in layers_of(member))
    if stateful or any(size is not None for size in sizes):
        return np.zeros((0, 1))
    parts = [to_numpy(leaf[:ROWS]) for leaf in keras.tree.flatten(x)]
    present = np.ones(len(parts[0]), "bool")
    for part in parts:
        if part.dtype.kind == "f":
            present &= ~np.isnan(part.reshape(len(part), -1)).all(axis=1)
    if not present.any():
        return np.zeros((0, 1))
    rows = keras.tree.map_structure(
        keras.ops.convert_to_tensor,
        keras.tree.pack_sequence_as(x, [part[present] for part in parts]),
    )
    forward = run_members({name: member}, {name: rows}, False, {})
    return to_numpy(forward.outputs[name]).astype("float64")


def _refuse_logits(loss: MemberLoss, head: Head, values: np.ndarray) -> None:
    if not values.size or not np.isfinite(values).all():
        return
    least, most = values.min(), values.max()
    if least >= -_TOLERANCE and most <= 1 + _TOLERANCE:
        return
    place = f"of its layer {head.layer!r} " if head.layer else ""
    raise ValueError(
        f"the loss of {loss.name!r} expects probabilities, and its outputs {place}"
        f"range from {least:.3g} to {most:.3g} on the first rows. {_mend(loss, head)}"
    )


def _are_distributions(values: np.ndarray, axis: int) -> bool:
    if not values.size or values.shape[axis] < 2 or values.min() < -_TOLERANCE:
        return False
    return bool(np.all(np.abs(values.sum(axis=axis) - 1) < 1e-3))
