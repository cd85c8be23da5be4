"""What is told of the data before training: by init, validate and train alike.

What `JointModel.fit` would warn of is told here in the same sentences, from what was
counted in the files: no network is built for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coloss.cli.config import Config
from coloss.cli.output import Output
from coloss.data.readers import LeftOut, told_left_out
from coloss.data.readers.errors import some
from coloss.doubts import Learnable, data_doubt, rate_doubt
from coloss.names import counted
from coloss.objective import Objective, reach

WHERE = {"train": "", "validation": "validation data: ", "test": "test data: "}
"""Which rows a sentence is about, by part; as `JointModel.fit` says it."""


def tell_data(config: Config, told: Mapping[str, Any], output: Output) -> None:
    """Tell what was read, what was left out, and what looks wrong.

    Args:
        config: settled.
        told: what `Source.describe` returns.
        output: for the words.
    """
    for line in described_lines(told):
        output.say(line)
    for line in doubts(config, told):
        output.note(line)


def tell_rates(config: Config, output: Output) -> None:
    """Tell learning rates that destroy every network, where no data is read.

    Args:
        config: checked.
        output: for the words.
    """
    for line in rates(config):
        output.note(line)


def described_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences on rows, labels and columns.

    Args:
        told: what `Source.describe` returns.
    """
    rows, labeled = told["rows"], told["labeled"]
    parts = [
        f"{part} {rows[part]} ({labeled[part]} labeled)" for part in rows if rows[part]
    ]
    yield f"rows: {', '.join(parts)}"
    way = told["id"]
    yield f"rows are joined by {f'the column {way!r}' if way else 'their order'}"
    if told["unlabeled"]:
        found = ", ".join(f"{n} with {what}" for what, n in told["unlabeled"].items())
        total = sum(told["unlabeled"].values())
        yield f"taken as unlabeled: {counted(total, 'row')} ({found})"
    for name, member in told["members"].items():
        recorded = member.get("recorded")
        if recorded:
            yield _recorded_line(name, recorded, told["classes"])
        if member["dropped"] and recorded:
            yield (
                f"{name}: left out {counted(member['dropped'], 'prediction')} for ids "
                "that no row has"
            )
        elif member["dropped"]:
            yield (
                f"{name}: left out {counted(member['dropped'], 'id')} without a row "
                'among the labels (data.unlisted = "drop")'
            )
        left_out = [LeftOut(**column) for column in member["left_out"]]
        yield from (f"{name}: {sentence}" for sentence in told_left_out(left_out))


def _recorded_line(
    name: str, recorded: Mapping[str, Any], classes: list[str] | None
) -> str:
    """Return what is recorded, and how columns without the classes' names are read."""
    said = f"{name}: recorded {recorded['kind']}"
    if recorded["by_name"] or classes is None:
        return said
    columns = recorded["columns"]
    if not columns:  # An array.
        return f"{said}, in the order of the classes: {some(classes, 6)}"
    if len(columns) == 1:
        return (
            f"{said}; the column {columns[0]!r} is of the second class, {classes[1]!r}"
        )
    return (
        f"{said}; by their order the columns {some(columns, 6)} are {some(classes, 6)}"
    )


def doubts(config: Config, told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what can be trained, and is hardly meant.

    Args:
        config: settled.
        told: what `Source.describe` returns.
    """
    yield from rates(config)
    objective = Objective(config.objective_text)
    bound = objective.bind(list(config.members), config.coefficients)
    read = reach.losses(bound.expression)
    for name, member in told["members"].items():
        for part, where in WHERE.items():
            if told["rows"][part]:
                found = _learnable(told, member, part, name in read)
                said = data_doubt(name, found)
                yield from [f"{where}{said}"] if said else []
        if member.get("empty"):
            yield (
                f"members.{name}: {counted(len(member['empty']), 'column')} without "
                f"any value in the rows for train: {some(member['empty'])}"
            )
    for part, counts in (told["class_counts"] or {}).items():
        absent = [name for name, number in counts.items() if not number]
        if absent and told["rows"][part]:
            yield f"data.label: no row for {part} is of class {some(absent)}"


def _learnable(
    told: Mapping[str, Any], member: Mapping[str, Any], part: str, read: bool
) -> Learnable:
    """Return what the rows of a part leave a member to learn."""
    rows, present = told["rows"][part], member["present"][part]
    if not read:
        return Learnable(rows, present)
    used, labeled = member["labeled"][part], told["labeled"][part]
    counts = (member["class_counts"] or {}).get(part, {})
    classes = [name for name, number in counts.items() if number]
    only = classes[0] if len(classes) == 1 else None
    return Learnable(rows, present, labeled, used, only, used)


def rates(config: Config) -> Iterator[str]:
    """Yield learning rates that destroy every network.

    Args:
        config: checked.
    """
    own = {
        name: member.learning_rate
        for name, member in config.members.items()
        if member.learning_rate is not None
    }
    given = {repr(name): rate for name, rate in own.items()}
    if len(own) < len(config.networks):
        whose = "the other members" if own else "all members"
        given[whose] = config.training.learning_rate
    for whose, rate in given.items():
        said = rate_doubt(whose, config.training.optimizer, rate)
        yield from [said] if said else []
