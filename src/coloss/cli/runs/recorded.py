"""Recorded predictions of a file, as the outputs of a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from coloss.cli.config import Config
from coloss.data.probabilities import improbable
from coloss.data.readers import DataError, Features
from coloss.data.readers.errors import some
from coloss.names import counted

PREFIX = "probability_"
"""Before the name of a class where `coloss predict` writes its probability."""


def with_recorded(
    config: Config,
    found: Mapping[str, Features],
    classes: list[str] | None,
    folder: Path,
) -> dict[str, Features]:
    """Return what was read, recorded predictions as networks would give them.

    Args:
        config: checked.
        found: by member, as read.
        classes: names, in the order of the outputs; None for numbers.
        folder: that paths are relative to.

    Raises:
        DataError: as `recorded_outputs`.
    """
    changed = {}
    for name in config.recorded:
        file = folder / str(config.members[name].outputs)
        changed[name] = recorded_outputs(config, name, found[name], classes, file)
    return {**found, **changed}


def recorded_outputs(
    config: Config, name: str, found: Features, classes: list[str] | None, path: Path
) -> Features:
    """Return recorded predictions as a network would give them.

    Args:
        config: checked.
        name: the member.
        found: (rows, columns), as read.
        classes: names, in the order of the outputs; None for numbers.
        path: the file, for messages.

    Returns:
        (rows, classes), or (rows, 1) for numbers, with the columns in the order of the
        classes where they have their names, and in that of the file elsewhere. Of two
        classes one column is enough: the other probability is what is left to 1, the
        other logit is 0.

    Raises:
        DataError: if the columns are not those of the classes, a row has single values
            only, or rows that should be probabilities are none.
    """
    kind, values = config.recorded[name], found.values
    place = f"members.{name}.outputs"
    _check_shape(place, found, classes, path)
    order = None if classes is None else _order(place, found.names, classes, path)
    if order is not None and values.shape[1] > 1:
        names = [found.names[column] for column in order]
        found = dataclasses.replace(found, values=values[:, order], names=names)
    _check_rows(name, kind, found, path)
    if classes is not None and values.shape[1] < len(classes):
        of_first = order == [0]
        found = dataclasses.replace(found, values=_both(values, kind, of_first))
    return found


def described_recorded(
    kind: str, names: list[str], classes: list[str] | None
) -> dict[str, object]:
    """Return what `data.json` holds of recorded predictions.

    Args:
        kind: what they are.
        names: of the columns as they are read; empty for an array.
        classes: names; None for numbers.
    """
    by_name = not set(classes or ()).isdisjoint(_called(names, classes or []))
    return {"kind": kind, "columns": names, "by_name": by_name}


def _called(names: list[str], classes: list[str]) -> list[str]:
    """Return the columns' names, without what `coloss predict` puts before them."""
    bare = [name.removeprefix(PREFIX) for name in names]
    return bare if set(bare) & set(classes) else names


def _check_shape(
    place: str, found: Features, classes: list[str] | None, path: Path
) -> None:
    shape = found.values.shape[1:]
    wanted = 1 if classes is None else len(classes)
    if len(shape) == 1 and (shape[0] == wanted or (wanted == 2 and shape[0] == 1)):
        return
    expected = "one column of numbers"
    if classes is not None:
        other = ", or one: of the second class" if wanted == 2 else ""
        expected = f"{counted(wanted, 'column')}, one a class ({some(classes)}){other}"
    has = f"rows of shape {shape}"
    if len(shape) == 1:
        listed = f" ({some(found.names)})" if found.names else ""
        has = f"{counted(shape[0], 'column')} of numbers{listed}"
    mend = ""
    if len(shape) == 1 and shape[0] > wanted and found.names:
        mend = f'. Say which: columns = ["{found.names[0]}", ...]'
    raise DataError(f"{place}: {path} has {has}; expected {expected}{mend}")


def _order(
    place: str, names: list[str], classes: list[str], path: Path
) -> list[int] | None:
    """Return the column of each class, by name; None: the columns have other names.

    Of a single column: [the class that it has the name of].
    """
    known = _called(names, classes)
    if not set(known) & set(classes):
        return None
    if len(known) == 1:
        return [classes.index(known[0])]
    lost = [name for name in classes if name not in known]
    if lost:
        verb = "has" if len(lost) == 1 else "have"
        raise DataError(
            f"{place}: some columns of {path} have the names of classes, and "
            f"{some(lost)} {verb} none (columns: {some(names, 6)}). Name a column for "
            f"each class, or none; then the order counts: {some(classes, 6)}"
        )
    return [known.index(name) for name in classes]


def _check_rows(name: str, kind: str, found: Features, path: Path) -> None:
    gaps = np.isnan(found.values)
    partly = np.flatnonzero(gaps.any(axis=1) & ~gaps.all(axis=1))
    if partly.size:
        row = int(partly[0])
        raise DataError(
            f"members.{name}.outputs: {path} has {counted(partly.size, 'row')} with "
            f"single values missing ({_row(found, row)}: {int(gaps[row].sum())} of "
            f"{gaps.shape[1]}). A prediction is there or missing as a whole"
        )
    wrong = improbable(found.values) if kind == "probabilities" else None
    if wrong is not None:
        row, shown = wrong
        raise DataError(
            f"members.{name}.outputs: {path} holds no probabilities in "
            f"{_row(found, row)} ({shown}); expected numbers from 0 to 1 that sum to "
            f'1. If these are logits, say so: members.{name}.kind = "logits"'
        )


def _row(found: Features, row: int) -> str:
    return f"row {row}" if found.ids is None else f"the row of id {found.ids[row]!r}"


def _both(values: np.ndarray, kind: str, of_first: bool) -> np.ndarray:
    """Return the outputs of both classes: (rows, 2).

    Args:
        values: (rows, 1), of one of two classes; NaN where there is none.
        kind: what they are.
        of_first: whether they are of the first class.
    """
    # softmax([0, z]) is the sigmoid of z.
    other = 1 - values if kind == "probabilities" else 0 * values
    pair = (values, other) if of_first else (other, values)
    return np.concatenate(pair, axis=1)
