"""What scikit-learn reaches on the same rows: logistic regression and an SVM.

They see the labeled training rows, choose C on validation rows, and are measured on
test rows. With all inputs concatenated they say what the inputs hold together; with the
main network's inputs alone, what a plain classifier makes of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from coloss.study.statistics import mean_interval
from coloss.study.trial import Rows
from coloss.typing import Tensor

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Values of C, chosen on validation rows."""


def references(rows: Rows, seeds: Iterable[int], main: str) -> pd.DataFrame:
    """Return the accuracy of plain classifiers on a study's rows.

    Args:
        rows: the data of an arm.
        seeds: whose splits.
        main: the main network.

    Returns:
        By classifier and inputs: `mean`, `low`, `high` (95 %) over the seeds, of the
        accuracy on labeled test rows.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: if the labels are no classes.
    """
    found: dict[str, list[float]] = {}
    for seed in seeds:
        parts = [_part(getattr(rows(seed), name), main) for name in _PARTS]
        for name, (columns, make) in _asked(parts[0][0], main).items():
            chosen = [(_table(x, columns), y) for x, y in parts]
            found.setdefault(name, []).append(_accuracy(make, chosen))
    table = {name: mean_interval(values) for name, values in found.items()}
    return pd.DataFrame.from_dict(
        table, orient="index", columns=["mean", "low", "high"]
    ).rename_axis("reference")


_PARTS = ("train", "validation", "test")
Maker = Callable[[float], Any]
Part = tuple[dict[str, np.ndarray], np.ndarray]


def _asked(
    x: Mapping[str, np.ndarray], main: str
) -> dict[str, tuple[list[str], Maker]]:
    """Return the inputs and the classifier of every reference, by its name."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import SVC
    except ImportError as error:
        raise ImportError(
            "references need scikit-learn: pip install 'coloss[study]'"
        ) from error
    makers: dict[str, Maker] = {
        "logistic regression": lambda c: LogisticRegression(C=c, max_iter=1000),
        "SVM": lambda c: SVC(C=c),
    }
    inputs = {"all inputs": list(x)} if len(x) > 1 else {}
    inputs[f"inputs of {main}"] = [main] if main in x else list(x)
    return {
        f"{kind}, {what}": (columns, make)
        for what, columns in inputs.items()
        for kind, make in makers.items()
    }


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
    """Return the rows that are labeled: inputs by member, and the classes."""
    x, y = part
    classes, known = _classes(y[main] if isinstance(y, Mapping) else y)
    inputs = x if isinstance(x, Mapping) else {"": x}
    return {n: np.asarray(v)[known] for n, v in inputs.items()}, classes[known]


def _classes(y: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows,) classes and which of them are known."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        known = ~np.isnan(labels).any(axis=1)
        if np.allclose(labels[known].sum(axis=1), 1.0):
            return labels.argmax(axis=1), known
    whole = labels.ndim == 1 and np.array_equal(labels, np.round(labels))
    if not whole:
        raise ValueError(
            "references are classifiers; they need whole numbers or one-hot rows as "
            f"labels, found shape {labels.shape} of {labels.dtype}."
        )
    return labels.astype(int), labels >= 0


def _table(x: Mapping[str, np.ndarray], columns: Iterable[str]) -> np.ndarray:
    """Return the inputs side by side, (rows, features) float64."""
    flat = [np.asarray(x[name], "float64") for name in columns]
    return np.hstack([values.reshape(len(values), -1) for values in flat])
