"""The one place where array data is looked at, before any training.

What people bring becomes arrays (`inputs.arrays`); then inputs
(`inputs.input_checks`), labels and weights (`label_checks`) are looked at. Only arrays
can be looked at as a whole; batches of a `tf.data.Dataset`, a loader or a generator
are checked when they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras

from coloss.joint.checks.label_checks import check_labels
from coloss.joint.inputs.arrays import as_inputs, as_labels, refuse_bare_array
from coloss.joint.inputs.assembly import Assembly
from coloss.joint.inputs.input_checks import check_inputs
from coloss.joint.inputs.missing_rows import Complete
from coloss.joint.inputs.per_member import spell_out
from coloss.joint.supervision.member_loss import MemberLoss
from coloss.typing import ByMember, Nested


@dataclass(frozen=True, eq=False)
class CheckedArrays:
    """Array data that can be trained on.

    Attributes:
        x: inputs by key, NumPy arrays or tensors.
        by_member: the same, as each member reads them.
        y: labels, for all or by member; None without labels.
        sample_weight: weights of the structure of `y`; or None.
        complete: inputs and labels of which nothing is missing.
    """

    x: dict[str, Nested]
    by_member: dict[str, Nested]
    y: ByMember
    sample_weight: ByMember
    complete: Complete


def check_arrays(
    members: Mapping[str, keras.Model],
    losses: dict[str, MemberLoss],
    needed: frozenset[str],
    outputs_of: Callable[[Mapping[str, Nested]], Mapping[str, Nested]],
    x: Mapping[str, object],
    y: ByMember,
    sample_weight: ByMember = None,
    where: str = "",
    assembly: Assembly | None = None,
) -> CheckedArrays:
    """Return array data as Keras's trainers take it, or say what is wrong with it.

    Args:
        members: the networks.
        losses: their losses.
        needed: members whose labels the objective reads.
        outputs_of: returns the members' outputs as shapes, of inputs.
        x: inputs by member.
        y: labels: one array, or by member.
        sample_weight: one array, or by member.
        where: prefix of messages, such as "validation data: ".
        assembly: which entries of `x` they read; None: each the one of its name.

    Raises:
        TypeError: if `x` or `y` is no dict by member and should be.
        ValueError: naming the member, what was found, and what was expected.
    """
    names = tuple(members)
    assembly = assembly or Assembly(members)
    refuse_bare_array(x, assembly.keys)
    x = as_inputs(assembly.own(members), x, where)
    rows, inputs = check_inputs(members, x, assembly, where)
    y = as_labels(y, names, rows, f"{where}`y`")
    sample_weight = as_labels(sample_weight, names, rows, f"{where}`sample_weight`")
    labels = check_labels(
        members, losses, outputs_of(x), needed, rows, y, sample_weight, where
    )
    y, sample_weight = spell_out(names, y, sample_weight)
    read = assembly.by_member(members, x, complete=inputs)
    return CheckedArrays(x, read, y, sample_weight, Complete(inputs, labels))
