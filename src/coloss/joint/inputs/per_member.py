"""Array data in the shape that Keras's trainers take: one label array a member.

Keras refuses sample weights for some outputs only; they are spelled out here, before
it sees them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from coloss.joint.members import check_names
from coloss.typing import ByMember, Tensor


def spell_out(
    names: tuple[str, ...], y: ByMember, sample_weight: ByMember
) -> tuple[ByMember, ByMember]:
    """Return labels and sample weights of equal structure.

    Args:
        names: the members.
        y: None, one array, or a dict by member.
        sample_weight: None, one array, or a dict by member (members it leaves out
            have weight 1).

    Raises:
        ValueError: for an unknown member.
    """
    if sample_weight is None or y is None:
        return y, sample_weight
    if not isinstance(y, Mapping) and not isinstance(sample_weight, Mapping):
        return y, sample_weight
    by_member: Mapping[str, Tensor] = (
        y if isinstance(y, Mapping) else dict.fromkeys(names, y)
    )
    check_names(
        sample_weight if isinstance(sample_weight, Mapping) else (),
        names,
        "`sample_weight`",
    )
    weights = {}
    for name, labels in by_member.items():
        given = sample_weight
        if isinstance(sample_weight, Mapping):
            given = sample_weight.get(name)
        rows = np.shape(labels)[0]
        weights[name] = np.ones(rows, "float32") if given is None else given
    return dict(by_member), weights
