"""What a training leaves behind, beside what its callbacks wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coloss.joint import JointModel
from coloss.joint.recorded import networks
from coloss.run_folder import MODEL, RunFolder

if TYPE_CHECKING:
    from coloss.objective.explanation import Explanation


def save_models(joint: JointModel, run: RunFolder) -> None:
    """Write each network, and the joint model.

    Recorded predictions are no network; the joint model knows of them.
    """
    for name in networks(joint.members):
        with run.writing(f"models/{name}.keras") as partial:
            joint[name].save(partial)
    with run.writing(MODEL) as partial:
        joint.save(partial)


def explained(joint: JointModel, found: Explanation, main: str) -> dict[str, Any]:
    """Return what `explanation.json` holds.

    Args:
        joint: compiled.
        found: its explanation.
        main: the network that is to gain.
    """
    settings = joint.compiled_settings
    metrics: dict[str, list[str]] = {}
    for one in settings.metrics:
        metrics.setdefault(one.member, []).append(one.metric.name)
    summands = [name for _, name in settings.summands]
    entries = [*summands, *(f"{name}_loss" for name in settings.losses)]
    entries += [one.metric.name for one in settings.metrics]
    return {
        "explanation": found.to_dict(),
        "text": str(found),
        "latex": settings.objective.latex(),
        "main": main,
        "members": list(joint),
        "summands": summands,
        "metrics": metrics,
        "directions": {name: settings.direction(name) for name in entries},
        "coefficients": joint.coefficient_layer.numbers(),
    }


def conflicts(before: Explanation, after: Explanation) -> list[dict[str, Any]]:
    """Return the cosines between terms, before and after training, as rows."""
    return [
        {"when": when, "member": m, "first": first, "second": second, "cosine": cosine}
        for when, found in (("start", before), ("end", after))
        for m, first, second, cosine in found.cosines or ()
    ]
