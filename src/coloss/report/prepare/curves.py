"""What a history says: learning curves, stacked terms, coefficients over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import pandas as pd

from coloss.names import counted

WEIGHT = "weight/"
"""How the history's entries of adaptive weights begin."""

VALIDATION = "val_"
Members: TypeAlias = Sequence[str] | Mapping[str, Sequence[str]]


class FitHistory(Protocol):
    """What `fit` returns, as far as it is read."""

    history: dict[str, list[Any]]


History: TypeAlias = pd.DataFrame | Mapping[str, Sequence[float]] | FitHistory
"""One row an epoch, or a list of numbers for each entry, or what `fit` returns."""


def as_history(history: History) -> pd.DataFrame:
    """Return a history as a frame with the column `epoch`, from 0.

    Args:
        history: a frame with one row an epoch, the dict of lists that Keras keeps, or
            the object that `fit` returns.

    Raises:
        ValueError: if lists have different lengths: which epochs they are of is not
            known (`validation_freq`, `GradientFlow(every=...)`).
    """
    if isinstance(history, pd.DataFrame):
        if "epoch" in history:
            return history
        return history.assign(epoch=range(len(history)))
    entries = history if isinstance(history, Mapping) else history.history
    lengths = {name: len(values) for name, values in entries.items()}
    longest = max(lengths.values(), default=0)
    short = [name for name, length in lengths.items() if length < longest]
    if short:
        raise ValueError(
            f"`history`: {short[0]!r} has {counted(lengths[short[0]], 'value')} for "
            f"{counted(longest, 'epoch')}. Give a frame with one row an epoch, NaN "
            "where there is no value."
        )
    return pd.DataFrame({"epoch": range(longest), **entries})


def metric_names(columns: Iterable[str], members: Members) -> dict[str, list[str]]:
    """Return each member's metrics that a history has, without the member's name.

    Args:
        columns: the history's entries.
        members: the members' names, or their entries by member as the run folder
            keeps them (`acoustic: [acoustic_accuracy]`).

    Returns:
        By member, "loss" first: `{"acoustic": ["loss", "accuracy"]}`.
    """
    present = dict.fromkeys(c.removeprefix(VALIDATION) for c in columns)
    names = list(members)
    found: dict[str, list[str]] = {}
    for member in names:
        own = f"{member}_"
        # `a_b_loss` belongs to the member `a_b` where there is one, not to `a`.
        longer = tuple(f"{n}_" for n in names if n != member and n.startswith(own))
        given = members[member] if isinstance(members, Mapping) else present
        entries = [f"{own}loss", *given]
        chosen = dict.fromkeys(
            entry.removeprefix(own)
            for entry in entries
            if entry in present
            and entry.startswith(own)
            and not (longer and entry.startswith(longer))
        )
        found[member] = list(chosen)
    return found


def learning_curves(history: History, members: Members, metric: str) -> pd.DataFrame:
    """Return one metric of every member, epoch by epoch.

    Args:
        history: see `as_history`.
        members: see `metric_names`.
        metric: such as "loss" or "accuracy".

    Returns:
        Columns `member`, `part` (training or validation), `epoch` (from 1), `value`;
        epochs without a value are left out.
    """
    frame = as_history(history)
    found = metric_names(map(str, frame.columns), members)
    curves = []
    for member, metrics in found.items():
        if metric not in metrics:
            continue
        for part, prefix in (("training", ""), ("validation", VALIDATION)):
            column = f"{prefix}{member}_{metric}"
            if column in frame:
                curves.append(_curve(frame, column, member=member, part=part))
    return _joined(curves, ["member", "part", "epoch", "value"])


def stacked_terms(history: History, terms: Sequence[str]) -> pd.DataFrame:
    """Return the objective's terms on top of each other, epoch by epoch.

    Terms above 0 are stacked upward and terms below 0 downward, so that what is above
    the axis less what is below it is the objective.

    Args:
        history: see `as_history`.
        terms: the entries of the objective's summands; those that the history lacks
            are left out.

    Returns:
        Columns `term`, `epoch` (from 1), `value`, `base`: a block reaches from `base`
        to `base + value`.
    """
    frame = as_history(history)
    up, down = np.zeros(len(frame)), np.zeros(len(frame))
    curves = []
    for term in dict.fromkeys(terms):
        if term not in frame:
            continue
        values = frame[term].to_numpy("float64")
        values = np.where(np.isfinite(values), values, 0.0)
        base = np.where(values >= 0, up, down)
        up, down = up + np.maximum(values, 0), down + np.minimum(values, 0)
        block = {"term": term, "epoch": frame["epoch"] + 1, "value": values}
        curves.append(pd.DataFrame({**block, "base": base}))
    return _joined(curves, ["term", "epoch", "value", "base"])


def coefficient_curves(history: History, names: Iterable[str] = ()) -> pd.DataFrame:
    """Return coefficients and adaptive weights, epoch by epoch.

    Args:
        history: see `as_history`. A coefficient that never moves is not in it.
        names: the coefficients. Adaptive weights are found by their names,
            `weight/<summand>`.

    Returns:
        Columns `kind` (coefficient or weight), `name`, `epoch` (from 1), `value`.
    """
    frame = as_history(history)
    curves = [
        _curve(frame, name, kind="coefficient", name=name)
        for name in names
        if name in frame
    ]
    curves += [
        _curve(frame, column, kind="weight", name=column.removeprefix(WEIGHT))
        for column in map(str, frame.columns)
        if column.startswith(WEIGHT)
    ]
    return _joined(curves, ["kind", "name", "epoch", "value"])


def _curve(frame: pd.DataFrame, column: str, **labels: str) -> pd.DataFrame:
    curve = pd.DataFrame({"epoch": frame["epoch"] + 1, "value": frame[column]})
    return cast(pd.DataFrame, curve.dropna().assign(**labels))


def _joined(curves: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    if not curves:
        return pd.DataFrame(columns=columns)
    return pd.concat(curves, ignore_index=True)[columns]
