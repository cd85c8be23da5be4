"""What a network answers, against what is true: confusion, calibration, scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

UNKNOWN = -1
"""The index of a class that is not known: an unlabeled row, a missing input."""


def confusion(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]
) -> pd.DataFrame:
    """Return how often each class was taken for each other.

    Args:
        labels: (rows,) class indices; -1: unlabeled, left out.
        predicted: (rows,) class indices; -1: no prediction, left out.
        classes: the classes' names.

    Returns:
        (classes, classes) counts: true classes as rows, predicted ones as columns.

    Raises:
        ValueError: for an index without a name, or different numbers of rows.
    """
    true, found = _same_rows(labels, predicted)
    known = (true != UNKNOWN) & (found != UNKNOWN)
    true, found = true[known].astype(int), found[known].astype(int)
    count = len(classes)
    for indices in (true, found):
        if len(indices) and (indices.min() < 0 or indices.max() >= count):
            raise ValueError(
                f"class indices must be from 0 to {count - 1}, as there are {count} "
                f"names; found {indices.min()} to {indices.max()}."
            )
    counts = np.zeros((count, count), int)
    np.add.at(counts, (true, found), 1)
    names = [str(name) for name in classes]
    return pd.DataFrame(counts, index=names, columns=names)


def reliability(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 10
) -> pd.DataFrame:
    """Return how often predictions of each confidence are right.

    A row's confidence is its largest probability. The bins have equal width and
    contain their upper end.

    Args:
        labels: (rows,) class indices; -1: unlabeled, left out.
        probabilities: (rows, classes); a row of NaN: no prediction, left out.
        bins: how many.

    Returns:
        One row a bin: `low`, `high`, `rows`, and the mean `confidence` and `accuracy`
        (NaN in an empty bin).

    Reference:
        Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.
    """
    given = np.asarray(probabilities, "float64")
    true, found = _same_rows(labels, given.argmax(-1))
    known = (true != UNKNOWN) & np.isfinite(given).all(-1)
    highest, right = given[known].max(-1), (true == found)[known]
    edges = np.linspace(0.0, 1.0, bins + 1)
    # Rounded first: 0.3 is the end of the third of ten bins, not the start of the next.
    place = np.ceil(np.round(highest * bins, 9)).astype(int) - 1
    place = np.clip(place, 0, bins - 1)
    rows = np.bincount(place, minlength=bins)
    sums = [
        np.bincount(place, weights=w, minlength=bins) for w in (highest, right * 1.0)
    ]
    divided = np.where(rows > 0, rows, 1)
    means = [np.where(rows > 0, total / divided, np.nan) for total in sums]
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "rows": rows,
            "confidence": means[0],
            "accuracy": means[1],
        }
    )


def calibration_error(bins: pd.DataFrame) -> float:
    """Return the expected calibration error of a table of `reliability`.

    The mean over the rows of |accuracy - confidence| of their bin; NaN without rows.

    Reference:
        Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian
        Binning", AAAI.
    """
    rows = bins["rows"].to_numpy("float64")
    if not rows.sum():
        return float("nan")
    gap = (bins["accuracy"] - bins["confidence"]).abs().fillna(0.0)
    return float((gap.to_numpy() * rows).sum() / rows.sum())


def probabilities_of(evaluation: pd.DataFrame, prefix: str = "") -> np.ndarray | None:
    """Return the columns `probability_0`, ... as one array; None where there are none.

    Args:
        evaluation: one row a prediction, as the run folder keeps it.
        prefix: "fused_" for the fused prediction.

    Returns:
        (rows, classes).
    """
    start = f"{prefix}probability_"
    columns = [c for c in evaluation.columns if str(c).startswith(start)]
    if not columns:
        return None
    columns.sort(key=lambda column: int(str(column).removeprefix(start)))
    return evaluation[columns].to_numpy("float64")


def scores(labels: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Return how near predicted numbers are to true ones.

    Args:
        labels: (rows,) numbers; NaN: unlabeled, left out.
        predicted: (rows,) numbers; NaN: no prediction, left out.

    Returns:
        `mean absolute error`, `root mean squared error`, and `R2` (NaN where all
        labels are equal).
    """
    true, found = _same_rows(labels, predicted)
    known = np.isfinite(true) & np.isfinite(found)
    true, error = true[known], (found - true)[known]
    if not len(true):
        return {}
    spread = float(((true - true.mean()) ** 2).sum())
    return {
        "mean absolute error": float(np.abs(error).mean()),
        "root mean squared error": float(np.sqrt((error**2).mean())),
        "R2": 1.0 - float((error**2).sum()) / spread if spread else float("nan"),
    }


def _same_rows(
    labels: ArrayLike, predicted: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    true, found = np.asarray(labels, "float64"), np.asarray(predicted, "float64")
    if true.shape != found.shape or true.ndim != 1:
        raise ValueError(
            "labels and predictions must have one value a row each; found shapes "
            f"{true.shape} and {found.shape}."
        )
    return true, found
