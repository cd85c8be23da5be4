"""What scikit-learn reaches on the same rows: logistic regression and an SVM.

Of numbers: ridge regression. They see the labeled training rows, choose C on
validation rows, and are measured on test rows. With all inputs concatenated they say
what the inputs hold together; with the main network's inputs alone, what a plain model
makes of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pandas as pd

from coloss.study.statistics import mean_interval
from coloss.study.trial import Rows
from coloss.typing import Tensor

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Values of C, chosen on validation rows."""


def references(rows: Rows, seeds: Iterable[int], main: str) -> pd.DataFrame:
    """Return the accuracy (of numbers: R2) of plain models on a study's rows.

    Args:
        rows: the data of an arm.
        seeds: whose splits.
        main: the main network.

    Returns:
        By model and inputs: `mean`, `low`, `high` (95 %) over the seeds, of the
        accuracy on labeled test rows, or of R2 where labels are numbers; which of both
        is `attrs["measure"]`.

    Raises:
        ImportError: if scikit-learn is not installed.
    """
    found: dict[str, list[float]] = {}
    numbers = False
    for seed in seeds:
        parts = [_part(getattr(rows(seed), name), main) for name in _PARTS]
        numbers = parts[0][1].dtype.kind == "f"
        asked = _asked(parts[0][0], main, numbers)
        with _one_thread():
            for name, (columns, make) in asked.items():
                chosen = [(_table(x, columns), y) for x, y in parts]
                found.setdefault(name, []).append(_accuracy(make, chosen))
    table = {name: mean_interval(values) for name, values in found.items()}
    found_table = pd.DataFrame.from_dict(
        table, orient="index", columns=["mean", "low", "high"]
    ).rename_axis("reference")
    found_table.attrs["measure"] = "R2" if numbers else "Accuracy"
    return found_table


_PARTS = ("train", "validation", "test")
Maker = Callable[[float], Any]
Part = tuple[dict[str, np.ndarray], np.ndarray]


def _asked(
    x: Mapping[str, np.ndarray], main: str, numbers: bool
) -> dict[str, tuple[list[str], Maker]]:
    """Return the inputs and the model of every reference, by its name."""
    try:
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.svm import SVC
    except ImportError as error:
        raise ImportError(
            "references need scikit-learn: pip install 'coloss[study]'"
        ) from error
    makers: dict[str, Maker] = {
        "logistic regression": lambda c: LogisticRegression(C=c, max_iter=1000),
        "SVM": lambda c: SVC(C=c),
    }
    if numbers:
        makers = {"ridge regression": lambda c: Ridge(alpha=1 / c)}
    inputs = {"all inputs": list(x)} if len(x) > 1 else {}
    inputs[f"inputs of {main}"] = [main] if main in x else list(x)
    return {
        f"{kind}, {what}": (columns, make)
        for what, columns in inputs.items()
        for kind, make in makers.items()
    }


def _one_thread() -> AbstractContextManager[object]:
    """Let linear algebra use one thread: on small matrices others wait, and spin."""
    from threadpoolctl import threadpool_limits  # Comes with scikit-learn.

    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


def _accuracy(make: Maker, parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, validation, test = parts
    fitted = []
    for strength in STRENGTHS:
        # Missing inputs become the mean of their column.
        model = make_pipeline(
            SimpleImputer(keep_empty_features=True), StandardScaler(), make(strength)
        )
        with warnings.catch_warnings():
            # Of no consequence: the best of the strengths is chosen by what it scores.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(*train)
        fitted.append((float(model.score(*validation)), model))
    best = max(fitted, key=lambda pair: pair[0])[1]
    return float(best.score(*test))


def _part(part: tuple[Any, Any], main: str) -> Part:
    """Return the rows that are labeled: inputs by member, and classes or numbers."""
    x, y = part
    classes, known = _labels(y[main] if isinstance(y, Mapping) else y)
    inputs = x if isinstance(x, Mapping) else {"": x}
    return {n: np.asarray(v)[known] for n, v in inputs.items()}, classes[known]


def _labels(y: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows,) classes, or (rows, values) numbers, and which rows have them."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        known = ~np.isnan(labels).any(axis=1)
        one_hot = np.isin(labels[known], (0, 1)).all()
        if one_hot and np.allclose(labels[known].sum(axis=1), 1.0):
            return labels.argmax(axis=1), known
        return labels.astype("float64"), known
    if labels.dtype.kind == "f" and not _whole(labels):
        return labels.astype("float64"), ~np.isnan(labels)
    return labels.astype(int), labels >= 0


def _whole(labels: np.ndarray) -> bool:
    """Return whether numbers are classes all the same: whole, with -1 for none."""
    return bool(np.array_equal(labels, np.round(labels)))


def _table(x: Mapping[str, np.ndarray], columns: Iterable[str]) -> np.ndarray:
    """Return the inputs side by side, (rows, features) float64."""
    flat = [np.asarray(x[name], "float64") for name in columns]
    return np.hstack([values.reshape(len(values), -1) for values in flat])
