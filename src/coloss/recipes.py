"""Objectives that are known to work, as objectives like any other."""

from __future__ import annotations

from collections.abc import Sequence

from coloss.names import nearest
from coloss.objective import Objective
from coloss.objective.expression import check_identifier

TASKS = ("classification", "regression")


def learn_from(
    main: str,
    helpers: Sequence[str],
    *,
    weight: str | float | None = None,
    temperature: float = 4.0,
    gate: str | None = "network",
    fused: str | None = None,
    task: str = "classification",
) -> Objective:
    """Return the recommended objective: the main network learns from its helpers.

    Every network minimizes its own loss, and each helper's predictions teach the
    main one, on labeled and unlabeled rows alike, as long as that helper is
    measured to be the better network: a weak helper would harm it. The measure is
    the accuracy on validation rows (in a regression the skill, 1 - loss / loss of the
    mean), so give `fit` some; without any it is that while training. Chosen in
    `benchmarks/evidence/multiple_features.md`.

    Args:
        main: the network that is to gain.
        helpers: the networks that teach it.
        weight: of each transfer term: a number, the name of a coefficient, or
            None: 1 / number of helpers, so that they teach as much as one would.
        temperature: of `distill`, above 0; not used in a regression.
        gate: "network" as above; "row": each row as far as the helper is better on
            it (classes only); "rank": rows whose classes both order alike (classes
            only); None: helpers always teach.
        fused: a network that sees the main network's input and the helpers'
            (`coloss.Inputs`): then it alone teaches the main one, with weight 1, and
            the helpers minimize their own losses. For helpers that are weaker than the
            main network: `benchmarks/evidence/fused_teacher.md`.
        task: "classification", where helpers teach by `distill`, or "regression",
            where they do by `match_logits`. Standardize the targets of a regression
            (mean 0, standard deviation 1): the term has the unit of the loss.

    Returns:
        An objective, which prints as text.

    Raises:
        ValueError: if there is no helper, one of them is the main network, or the
            gate or the task is unknown, or they do not fit.

    Reference:
        Hinton et al. 2015, arXiv:1503.02531.

    Examples:
        >>> import coloss
        >>> print(coloss.recipes.learn_from("fou", ["kar"]))
        fou + kar + distill(kar >> fou, temperature=4, gate="network")
        >>> print(coloss.recipes.learn_from("now", ["later"], task="regression"))
        now + later + match_logits(later >> now, gate="network")
    """
    _check_task(task, gate)
    names = [check_identifier(name, "member") for name in (main, *helpers)]
    if fused is not None:
        names.append(check_identifier(fused, "member"))
    if len(names) == 1:
        raise ValueError(
            "`helpers` is empty; the main network needs one to learn from."
        )
    if len(set(names)) < len(names):
        what = "`helpers`" if fused is None else "`helpers` and `fused`"
        raise ValueError(f"{what} must differ from {main!r} and from one another.")
    teachers = helpers if fused is None else [fused]
    if weight is None:
        weight = 1.0 if len(teachers) == 1 else round(1.0 / len(teachers), 4)
    factor = "" if weight == 1 else f"{weight}*"
    gated = "" if gate is None else f", gate={gate!r}"
    regression = task == "regression"
    word = "match_logits" if regression else "distill"
    softened = "" if regression else f", temperature={temperature:g}"
    terms = [
        f"{factor}{word}({helper} >> {main}{softened}{gated})" for helper in teachers
    ]
    return Objective(" + ".join([*names, *terms]))


def _check_task(task: str, gate: str | None) -> None:
    if task not in TASKS:
        raise ValueError(
            f"`task` must be one of {', '.join(map(repr, TASKS))}; found {task!r}"
            f"{nearest(task, TASKS) or '.'}"
        )
    if task == "regression" and gate in ("row", "rank"):
        raise ValueError(
            f'`gate="{gate}"` compares probabilities, which a regression has not; use '
            '"network" or None.'
        )


def self_training(members: Sequence[str], *, threshold: float = 0.95) -> Objective:
    """Return the control without peers: every network learns from itself.

    A gain of `learn_from` that this objective has as well did not come from the
    other networks.

    Args:
        members: the networks.
        threshold: confidence from which a prediction counts as a label.

    Reference:
        Lee 2013; Sohn et al. 2020, arXiv:2001.07685.

    Examples:
        >>> import coloss
        >>> print(coloss.recipes.self_training(["fou"]))
        fou + pseudo_label(fou, threshold=0.95)
    """
    if not members:
        raise ValueError("`members` is empty.")
    terms = [f"pseudo_label({name}, threshold={threshold:g})" for name in members]
    return Objective(" + ".join([*members, *terms]))
