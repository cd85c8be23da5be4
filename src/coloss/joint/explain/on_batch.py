"""What an objective will do to a joint model: by its form, and on one batch."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from coloss.joint.alone import alone
from coloss.joint.autodiff import run_once
from coloss.joint.checks.head_agreement import disagreements
from coloss.joint.checks.label_counts import count_labels
from coloss.joint.compiled import CompiledSettings
from coloss.joint.explain.kept_variables import states_of, variables_kept
from coloss.joint.explain.term_gradients import summand_gradients
from coloss.joint.inputs.arrays import to_numpy
from coloss.joint.inputs.per_member import spell_out
from coloss.joint.members import is_frozen
from coloss.joint.optimizers.zero_gradient import keeps_moving
from coloss.joint.outputs.forward import run_members
from coloss.joint.protocols import ExplainableModel
from coloss.joint.recorded import kind_of
from coloss.joint.supervision.member_loss import CLASSES, MARGIN, REGRESSION
from coloss.objective import Objective, ObjectiveError, ObjectiveWarning
from coloss.objective.explanation import Explanation
from coloss.typing import ByMember, Nested

# Keras clips probabilities at 1e-7; a cross-entropy on them ends at -log(1e-7).
CLIPPED = 16.118


def explain_model(
    model: ExplainableModel,
    x: Mapping[str, object] | None = None,
    y: ByMember = None,
    sample_weight: ByMember = None,
) -> Explanation:
    """Return the objective's explanation, with gradient flow where data is given.

    Args:
        model: a compiled joint model.
        x: inputs by member, one batch.
        y: its labels.
        sample_weight: its weights.
    """
    explanation = explain_form(
        model.compiled_settings, model.members, model.coefficient_layer.numbers()
    )
    inputs = {name: str(one) for name, one in model.assembly.inputs.items()}
    explanation = dataclasses.replace(explanation, inputs=inputs)
    plan = model.auxiliary.balance.plan
    if not plan.is_plain:
        explanation = _noted(explanation, plan.notes())
    still = {name: keeps_moving(model.optimizer, name) for name in explanation.unmoved}
    explanation = _noted(explanation, [note for note in still.values() if note])
    if x is None:
        return explanation
    with alone(model):
        arrays = model.check_arrays(x, y, sample_weight)
        flow, cosines = gradient_flow(model, arrays.x, arrays.y, arrays.sample_weight)
        rows = _row_counts(model, arrays.x, arrays.y)
    return dataclasses.replace(explanation, flow=flow, cosines=cosines, rows=rows)


def _noted(explanation: Explanation, notes: list[str]) -> Explanation:
    notes = [*notes, *explanation.warnings]
    return dataclasses.replace(explanation, warnings=notes)


def _row_counts(
    model: ExplainableModel, x: Mapping[str, Nested], y: ByMember
) -> dict[str, dict[str, int]]:
    """Return how many rows and labels of one batch count, by member with a loss."""
    shapes: dict[str, tuple[int, ...]] = {}

    def read_and_masks(
        x: Mapping[str, Nested],
    ) -> tuple[dict[str, Nested], dict[str, Any]]:
        read = model.assembly.by_member(model.members, x)
        forward = run_members(model.members, read, False, {})
        shapes.update({n: tuple(out.shape) for n, out in forward.outputs.items()})
        return read, forward.masks

    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, dict(x))
    with variables_kept(states_of(model.members)):
        read, masks = run_once(read_and_masks, tensors)
    found = {}
    for name, loss in model.compiled_settings.losses.items():
        labels = y.get(name) if isinstance(y, Mapping) else y
        if labels is None:
            continue
        mask = None if masks[name] is None else to_numpy(masks[name])
        counts = count_labels(loss, labels, read[name], mask, shapes[name])
        found[name] = {**dataclasses.asdict(counts), "unlabeled": counts.unlabeled}
    return found


def explain_form(
    settings: CompiledSettings,
    members: Mapping[str, keras.Model],
    coefficients: Mapping[str, float],
) -> Explanation:
    """Return the explanation of an objective from its form and its losses.

    Args:
        settings: the resolved arguments of `compile`.
        members: the networks.
        coefficients: their values.
    """
    losses = settings.losses
    explanation = settings.objective.explain(
        members=tuple(members),
        coefficients=dict(coefficients),
        bounds={
            name: CLIPPED
            for name, loss in losses.items()
            if loss.kind in CLASSES and not loss.from_logits
        },
        frozen=tuple(name for name, net in members.items() if is_frozen(net)),
        regression=tuple(
            name for name, loss in losses.items() if loss.kind in (REGRESSION, MARGIN)
        ),
    )
    recorded = [name for name, one in members.items() if kind_of(one) is not None]
    explanation = dataclasses.replace(explanation, recorded=recorded)
    return _noted(explanation, disagreements(members, losses))


def report_ascent(
    found: Explanation, objective: Objective, on_ascent: str
) -> list[str]:
    """Warn, raise or stay silent when the objective trains a member to fail.

    Args:
        found: the objective's explanation.
        objective: the joint loss, for the message.
        on_ascent: "warn", "raise" or "allow".

    Returns:
        The members that are trained to fail.

    Raises:
        ObjectiveError: with "raise".
        ValueError: if `on_ascent` is none of the three.
    """
    if on_ascent not in ("warn", "raise", "allow"):
        raise ValueError(
            f'`on_ascent` must be "warn", "raise" or "allow"; found {on_ascent!r}.'
        )
    if on_ascent == "allow" or not (found.ascended or found.unbounded):
        return found.ascended
    parts = []
    if found.ascended:
        parts.append(f"trains {_listed(found.ascended)} to fail (its loss goes up)")
    if found.unbounded:
        parts.append(f"has no lower bound (in the loss of {_listed(found.unbounded)})")
    message = f"the objective `{objective}` {' and '.join(parts)}."
    if found.suggestion:
        message += f" Perhaps you mean: {found.suggestion}"
    message += " See explain(); on_ascent='allow' silences this."
    if on_ascent == "raise":
        raise ObjectiveError(message)
    warnings.warn(message, ObjectiveWarning, stacklevel=4)
    return found.ascended


def _listed(names: list[str]) -> str:
    return " and ".join(names)


def gradient_flow(
    model: ExplainableModel,
    x: Mapping[str, Nested],
    y: ByMember,
    sample_weight: ByMember = None,
) -> tuple[dict[str, dict[str, float]], list[tuple[str, str, str, float]]]:
    """Measure how strongly each summand pulls at each member, and where they disagree.

    Computed in inference mode: dropout is off, nothing is changed. Gates that have
    measured nothing yet are taken for open.

    Args:
        model: a compiled joint model.
        x: inputs by member, one batch.
        y: its labels.
        sample_weight: its weights.

    Returns:
        The norm of each summand's gradient by summand and member, and the cosine
        for each two summands that reach the same member.
    """
    y, sample_weight = spell_out(tuple(model.members), y, sample_weight)
    variables = list(model.trainable_variables)
    tensors: list[Any] = [
        None
        if part is None
        else keras.tree.map_structure(keras.ops.convert_to_tensor, part)
        for part in (dict(x), y, sample_weight)
    ]
    with model.auxiliary.running_accuracy.shown_open():
        gradients = summand_gradients(model, variables, *tensors)
    place = {id(variable): index for index, variable in enumerate(variables)}
    texts = [name for _, name in model.compiled_settings.summands]
    flow: dict[str, dict[str, float]] = {text: {} for text in texts}
    cosines = []
    for name, member in model.members.items():
        own = [place[id(v)] for v in member.trainable_variables]
        pulls = {
            text: _flat([row[index] for index in own])
            for text, row in zip(texts, gradients, strict=True)
        }
        for text, pull in pulls.items():
            flow[text][name] = float(np.linalg.norm(pull))
        for one, other in itertools.combinations(texts, 2):
            norms = flow[one][name] * flow[other][name]
            if norms > 0:
                cosine = float(pulls[one] @ pulls[other] / norms)
                cosines.append((name, one, other, cosine))
    return flow, cosines


def _flat(parts: list[np.ndarray]) -> np.ndarray:
    if not parts:
        return np.zeros(0)
    return np.concatenate([np.asarray(part, "float64").ravel() for part in parts])
