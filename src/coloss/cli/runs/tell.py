"""What is told of the data before training: by init, validate and train alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coloss.cli.config import Config
from coloss.cli.output import Output
from coloss.data.readers import LeftOut, told_left_out
from coloss.data.readers.errors import some
from coloss.names import counted

STEPS_OF_A_RATE = {"sgd": 10.0, "adagrad": 10.0}
"""Learning rates from which on nothing is learned, where steps follow the gradient."""
STEP_OF_ADAPTIVE = 1.0
"""The same of other optimizers, which move each weight by about this in every step."""


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
    rows, labelled = told["rows"], told["labelled"]
    parts = [
        f"{part} {rows[part]} ({labelled[part]} labeled)" for part in rows if rows[part]
    ]
    yield f"rows: {', '.join(parts)}"
    way = told["id"]
    yield f"rows are joined by {f'the column {way!r}' if way else 'their order'}"
    if told["unlabelled"]:
        found = ", ".join(f"{n} with {what}" for what, n in told["unlabelled"].items())
        total = sum(told["unlabelled"].values())
        yield f"taken as unlabeled: {counted(total, 'row')} ({found})"
    for name, member in told["members"].items():
        left_out = [LeftOut(**column) for column in member["left_out"]]
        yield from (f"{name}: {sentence}" for sentence in told_left_out(left_out))


def doubts(config: Config, told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what can be trained, and is hardly meant.

    Args:
        config: settled.
        told: what `Source.describe` returns.
    """
    yield from rates(config)
    for name, member in told["members"].items():
        if not member["labelled"]["train"]:
            yield (
                f"members.{name}: no row for train has both its features and a label; "
                "its own loss teaches it nothing"
            )
        if member.get("empty"):
            yield (
                f"members.{name}: {counted(len(member['empty']), 'column')} without "
                f"any value in the rows for train: {some(member['empty'])}"
            )
    for part, counts in (told["class_counts"] or {}).items():
        absent = [name for name, number in counts.items() if not number]
        if absent and told["rows"][part]:
            yield f"data.label: no row for {part} is of class {some(absent)}"


def rates(config: Config) -> Iterator[str]:
    """Yield learning rates that destroy every network.

    Args:
        config: checked.
    """
    optimizer = config.training.optimizer
    limit = STEPS_OF_A_RATE.get(optimizer, STEP_OF_ADAPTIVE)
    given = {"training.learning_rate": config.training.learning_rate}
    given |= {
        f"members.{name}.learning_rate": member.learning_rate
        for name, member in config.members.items()
        if member.learning_rate is not None
    }
    for key, rate in given.items():
        if rate >= limit:
            yield (
                f"{key}: {rate:g} is far too large for {optimizer!r}: weights are near "
                "1, and nothing is learned with steps like that. Usual are 0.0001 to "
                "0.1"
            )
