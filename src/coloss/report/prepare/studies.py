"""What a study found: the gain of each arm, and its curves."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd


def forest(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the arms' gains with their intervals, largest first.

    Args:
        compared: `StudyResult.compare()`: by arm (its index, or the column `arm`)
            `gain`, `low`, `high` and `verdict`.

    Returns:
        Columns `arm`, `gain`, `low`, `high`, `verdict`; the baseline is left out, as it
        has no gain over itself.
    """
    table = compared if "arm" in compared else compared.rename_axis("arm").reset_index()
    others = table[table["gain"].notna()].sort_values("gain", ascending=False)
    return others[["arm", "gain", "low", "high", "verdict"]].reset_index(drop=True)


def at_points(history: pd.DataFrame, points: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of each arm's chosen point alone.

    Args:
        history: see `arm_curves`.
        points: by arm, the column `point` of `StudyResult.compare()`, such as
            "w=0.3, v=1"; empty where there is nothing to choose.
    """
    chosen = pd.Series(True, index=history.index)
    for arm, point in points.items():
        for entry in filter(None, point.split(", ")):
            name, _, value = entry.rpartition("=")
            equal = history[name].map("{:g}".format) == value
            chosen &= (history["arm"] != arm) | equal
    return history[chosen]


def arm_curves(history: pd.DataFrame, entry: str) -> pd.DataFrame:
    """Return an entry of the history, epoch by epoch, over the runs of each arm.

    Args:
        history: `StudyResult.history`: one row an epoch of a run, `arm` and `epoch`
            (from 0) among its columns.
        entry: such as "val_acoustic_accuracy".

    Returns:
        Columns `arm`, `epoch` (from 1), `mean`, `low` and `high` (one standard
        deviation of the runs below and above; the mean where there is one run),
        `runs`. Take one point of each arm first, see
        `at_points`.

    Raises:
        ValueError: if the history lacks the entry.
    """
    if entry not in history:
        known = ", ".join(map(repr, history.columns))
        raise ValueError(f"no entry {entry!r} in the history (entries: {known}).")
    groups = history.dropna(subset=[entry]).groupby(["arm", "epoch"], sort=False)
    table = groups[entry].agg(["mean", "std", "count"]).reset_index()
    spread = table["std"].fillna(0.0)
    return pd.DataFrame(
        {
            "arm": table["arm"],
            "epoch": table["epoch"] + 1,
            "mean": table["mean"],
            "low": table["mean"] - spread,
            "high": table["mean"] + spread,
            "runs": table["count"],
        }
    )
