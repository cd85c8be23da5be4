"""What is behind a step that was not finite; asked once, after it failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras

from coloss.joint.base import JointBase
from coloss.joint.keras_internals import sync_variables
from coloss.joint.supervision.step_report import GRADIENT, STATE, UPDATE, report_of
from coloss.objective import reach

Blame = Callable[[keras.Variable], list[str]]
"""From a variable to the names of the terms whose own gradient there is not finite."""


@dataclass(frozen=True)
class Cause:
    """Why a step was not finite.

    Attributes:
        sentence: what was not finite; None: no more than the logs say.
        variable: the path of the variable whose gradient or update it was, or None.
    """

    sentence: str | None = None
    variable: str | None = None


def cause_of(
    model: JointBase, entries: Mapping[str, float], blame: Blame | None = None
) -> Cause:
    """Return what the model's report says of the first bad step.

    Args:
        model: that was trained.
        entries: the logged values that are not finite, by name.
        blame: from a variable to the terms whose own gradient there is not finite.
    """
    report = report_of(model)
    if report is None:
        return Cause()
    sync_variables(model)
    flaws = report.flaws()
    if flaws:
        return Cause(f"the loss is not finite: {', '.join(flaws)}")
    kind, position = report.place()
    if not kind or set(entries) - {"loss"}:
        return Cause()  # The entries say more than the gradients that follow.
    return _of_variable(model, kind, position, blame)


def _of_variable(
    model: JointBase, kind: int, position: int, blame: Blame | None
) -> Cause:
    trained = model.trainable_variables
    variables = model.non_trainable_variables if kind == STATE else trained
    if not 0 <= position < len(variables):
        where = "a slot of the optimizer" if kind == UPDATE else "another replica"
        return Cause(f"the loss is finite, and what the step does to {where} is not")
    variable = variables[position]
    owners = [
        name
        for name, member in model.members.items()
        if any(variable is weight for weight in member.weights)
    ]
    whose = f" of {owners[0]!r}" if owners else ""
    what = {
        GRADIENT: f"the gradient at {variable.path!r}{whose} is not",
        UPDATE: f"the update takes {variable.path!r}{whose} out of range",
        STATE: f"the forward pass takes {variable.path!r}{whose} out of range",
    }[kind]
    # An update is that of all terms together.
    said = _blamed(blame, variable) if kind == GRADIENT else ""
    said = said or _reaching(model, owners)
    return Cause(f"the loss is finite, but {what}{said}", variable.path)


def _blamed(blame: Blame | None, variable: keras.Variable) -> str:
    """Return the terms that are to blame by themselves; nothing if none is known."""
    try:
        terms = [] if blame is None else blame(variable)
    except Exception:
        # The data may not be there a second time, and what went wrong in the step is
        # to be told all the same: with the terms that reach the variable.
        terms = []
    if not terms:
        return ""
    listed = ", ".join(f"`{name}`" for name in terms)
    return f" (not finite by {'itself' if len(terms) == 1 else 'themselves'}: {listed})"


def _reaching(model: JointBase, owners: list[str]) -> str:
    """Return the summands that reach a member, to be looked at first."""
    reaching = [
        f"`{name}`"
        for summand, name in model.compiled_settings.summands
        if set(owners) & set(reach.learners(summand))
    ]
    return f" (terms that reach it: {', '.join(reaching)})" if reaching else ""
