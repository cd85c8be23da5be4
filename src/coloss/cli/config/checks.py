"""What no single value shows: whether the parts of the file fit each other.

Objectives are parsed and bound here, so that a wrong name is found without Keras.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coloss.cli.config.coefficients import Coefficient, as_schedule
from coloss.cli.config.members import Member
from coloss.cli.config.problems import Problem
from coloss.cli.config.recorded_checks import recorded_members, recorded_uses
from coloss.cli.config.root import Config
from coloss.cli.config.training import Arm
from coloss.names import nearest
from coloss.objective import Objective, ObjectiveError
from coloss.objective.expression import Port, check_identifier
from coloss.objective.functions import FUNCTIONS

OUTPUT = "output"
"""Name of the layer that is added at the end of a layer list."""


def check(config: Config) -> list[Problem]:
    """Return everything in a configuration that does not fit."""
    return [
        *_data(config),
        *_members(config),
        *_schedules(config.coefficients, ("coefficients",)),
        *_objective(config),
        *_training(config),
        *_study(config),
    ]


def _data(config: Config) -> Iterator[Problem]:
    data = config.data
    if data.table is None and data.labels is None and not _has_table(config):
        yield Problem(
            ("data",),
            "needs `labels` (a file with ids and labels) or `table` (one file with "
            "everything): the members' files are arrays, which have no column "
            f"{data.label!r}",
        )
    if data.table is not None and data.labels is not None:
        yield Problem(("data", "labels"), "is for one file a member; `table` is given")
    given = data.fractions
    if data.split is not None and given and "test" in given.model_fields_set:
        yield Problem(
            ("data", "fractions", "test"),
            f"must be left out where `split` ({data.split!r}) says the split; "
            "`validation` alone is taken from its training rows",
        )
    validation, test = data.shares
    if validation + test >= 1:
        yield Problem(
            ("data", "fractions"),
            f"leaves no row to train on: {validation:g} + {test:g} is not less than 1",
        )
    if data.stream and not (data.table or "").endswith((".parquet", ".pq")):
        yield Problem(("data", "stream"), "needs `table`, a Parquet file")
    if data.classes is not None and not config.is_classification:
        yield Problem(("data", "classes"), "is for classification")
    if data.classes is not None and len(set(data.classes)) < len(data.classes):
        yield Problem(("data", "classes"), "has a class twice")


def _has_table(config: Config) -> bool:
    files = [member.file for member in config.members.values() if member.file]
    return any(not file.lower().endswith((".npy", ".npz")) for file in files)


def _members(config: Config) -> Iterator[Problem]:
    one_table = config.data.table is not None
    for name, member in config.members.items():
        path = ("members", name)
        yield from _name(name, path)
        if member.layers is not None and member.model is not None:
            yield Problem((*path, "model"), "and `layers` exclude each other")
        yield from _layers(member, path)
        yield from _inputs(config, member, path)
    yield from recorded_members(config)
    for name, member in config.sources.items():
        path = ("members", name)
        # Recorded predictions have a file of their own beside a table.
        in_table = one_table and member.outputs is None
        if in_table and member.data is not None:
            yield Problem((*path, "data"), "is not for a data set in one `table`")
        if in_table and member.header is not None:
            yield Problem((*path, "header"), "is said in [data] for a `table`")
        if member.id is not None and (in_table or config.data.id is None):
            yield Problem(
                (*path, "id"), "needs `data.id`, and a file of its own for the member"
            )
        others = len(config.sources) - len(config.recorded)
        if in_table and member.columns is None and others > 1:
            yield Problem(
                path, "needs `columns`, its part of the columns of `data.table`"
            )
        if not one_table and member.file is None:
            yield Problem(path, "needs `data`, the file of its features")


_OF_DATA = ("data", "header", "id", "columns", "ids", "array", "fill")


def _inputs(config: Config, member: Member, path: tuple[str, ...]) -> Iterator[Problem]:
    if member.outputs is not None:
        return  # These keys are not for it at all.
    if member.inputs is None:
        for key in ("missing", "input_dropout"):
            if member.gives(key):
                yield Problem((*path, key), "is for a member with `inputs`")
        return
    for place, name in enumerate(member.inputs):
        if name not in config.sources:
            yield Problem(
                (*path, "inputs", place),
                f"names no member with data: {name!r}{nearest(name, config.sources)} "
                f"(members with data: {', '.join(config.sources)})",
            )
        elif name in member.inputs[:place]:
            yield Problem((*path, "inputs", place), f"names {name!r} twice")
    for key in _OF_DATA:
        if member.gives(key):
            yield Problem((*path, key), "is not for a member with `inputs`")


def _name(name: str, path: tuple[str, ...]) -> Iterator[Problem]:
    try:
        check_identifier(name, "member")
    except ValueError as error:
        yield Problem(path, f"has a name that no objective can say: {error}")
    if name in FUNCTIONS:
        yield Problem(path, "has the name of a function of objectives; rename it")


def _layers(member: Member, path: tuple[str, ...]) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, layer in enumerate(member.layers or ()):
        if layer.name is None:
            continue
        if layer.name in seen or layer.name == OUTPUT:
            why = "is taken" if layer.name in seen else "is that of the last layer"
            yield Problem(
                (*path, "layers", place, "name"), f"{why}: {layer.name!r}; rename it"
            )
        seen.add(layer.name)


def _schedules(
    given: Mapping[str, Coefficient | list[float]], path: tuple[str | int, ...]
) -> Iterator[Problem]:
    for name, value in given.items():
        try:
            as_schedule(value)
        except (TypeError, ValueError) as error:
            yield Problem((*path, name), f"is no schedule: {error}")


def _objective(config: Config) -> Iterator[Problem]:
    table = config.objective
    if table.main is not None and table.main not in config.members:
        yield Problem(
            ("objective", "main"),
            f"names no member: {table.main!r}"
            f"{nearest(table.main, config.members)} "
            f"(members: {', '.join(config.members)})",
        )
    path = ("objective", "text") if table.text is not None else ("objective",)
    bound, problem = _bound(config, config.objective_text, config.coefficients, path)
    if problem:
        yield problem
    if bound is None:
        return
    yield from _ports(config, bound, path)
    yield from recorded_uses(config, bound, path)
    named = {*bound.names, *_names_in_arms(config)}
    for name in config.coefficients:
        if name not in named:
            yield Problem(
                ("coefficients", name), f"is in no objective{nearest(name, named)}"
            )


def _names_in_arms(config: Config) -> Iterator[str]:
    """Yield what a study's arms name; the main objective need not name it."""
    for given in config.study.arms.values() if config.study else ():
        text = given if isinstance(given, str) else given.objective
        try:
            yield from Objective(text or config.objective_text).names
        except (ObjectiveError, TypeError):
            continue  # A problem of its own.


def _bound(
    config: Config, text: str, coefficients: Mapping[str, Any], path: Any
) -> tuple[Objective | None, Problem | None]:
    try:
        bound = Objective(text).bind(list(config.members), list(coefficients))
    except ObjectiveError as error:
        return None, Problem(path, f"cannot be used: {error}")
    except (TypeError, ValueError):
        return None, None  # A member's name, which is a problem of its own.
    if not bound.learners:
        return None, Problem(path, f"trains no member: {text!r}")
    return bound, None


def _ports(config: Config, bound: Objective, path: Any) -> Iterator[Problem]:
    """Refuse layers that no layer list has; those of saved models are unknown here."""
    for node in bound.expression.walk():
        if not isinstance(node, Port) or not node.path:
            continue
        member = config.members[node.member]
        if member.model is not None or member.outputs is not None:
            continue
        known = [OUTPUT, *(layer.name for layer in member.layer_list if layer.name)]
        name = node.path[0]
        if name not in known:
            yield Problem(
                path,
                f"names no layer of {node.member!r}: {name!r}{nearest(name, known)} "
                f"(named layers: {', '.join(known)})",
            )


def _training(config: Config) -> Iterator[Problem]:
    loss = config.training.loss
    if loss is None:
        return
    sparse = loss == "sparse_categorical_crossentropy"
    if sparse != config.is_classification:
        yield Problem(
            ("training", "loss"), f"does not fit a {config.data.task}: {loss!r}"
        )


def _study(config: Config) -> Iterator[Problem]:
    study = config.study
    if study is None:
        return
    yield from _grid(study.coefficients, ("study", "coefficients"))
    for place, control in enumerate(study.controls):
        if control in study.arms or control in study.controls[:place]:
            yield Problem(
                ("study", "controls", place), f"is an arm already: {control!r}"
            )
    named: set[str] = set()
    for name, given in study.arms.items():
        path = ("study", "arms", name)
        arm = Arm(objective=given) if isinstance(given, str) else given
        yield from _schedules(arm.coefficients, (*path, "coefficients"))
        text = arm.objective or config.objective_text
        known = {**config.coefficients, **study.coefficients, **arm.coefficients}
        bound, problem = _bound(config, text, known, path)
        if problem:
            yield problem
        if bound is not None:
            named.update(bound.names)
            yield from _ports(config, bound, path)
            yield from recorded_uses(config, bound, path)
    for name in study.coefficients:
        if named and name not in named:
            yield Problem(
                ("study", "coefficients", name),
                f"is in no arm's objective{nearest(name, named)}",
            )
    if study.baseline is not None and study.baseline not in study.arms:
        yield Problem(
            ("study", "baseline"),
            f"names no arm: {study.baseline!r}{nearest(study.baseline, study.arms)} "
            f"(arms: {', '.join(study.arms)})",
        )


def _grid(given: Mapping[str, list[float]], path: Any) -> Iterator[Problem]:
    for name, values in given.items():
        if not values:
            yield Problem((*path, name), "is an empty list; expected values to try")
