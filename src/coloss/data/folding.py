"""Folds of a table for studies: random, or by group, such as speakers or patients."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from coloss.data.split import Part, Split
from coloss.data.standardizing import Standardizer
from coloss.names import counted
from coloss.typing import Rows, Tensor

Scales: TypeAlias = Standardizer | dict[str, Standardizer] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Folds:
    """Splits by seed, as a study takes them; see `folds`.

    Attributes:
        x: inputs, one array or by member.
        y: labels, one array or by member.
        groups: (rows,) what must not be on two sides of a split; None: nothing.
        strata: (rows,) what is spread evenly; None: nothing.
        num_folds: K.
        seed: of the first deal.
        standardize: whether inputs are standardized by their training rows.
    """

    x: Rows
    y: Rows
    groups: np.ndarray | None
    strata: np.ndarray | None
    num_folds: int
    seed: int
    standardize: bool

    def __call__(self, seed: int) -> Split:
        """Return the split of a seed of a study.

        Seed s takes fold s mod K as test rows and the next one as validation rows;
        after K seeds the rows are dealt anew.
        """
        train, validation, test = self.rows(seed)
        scales = self._scales(train)
        return Split(*(self._part(rows, scales) for rows in (train, validation, test)))

    def rows(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the numbers of the rows to train on, to select on, and to test on."""
        deal, fold = divmod(seed, self.num_folds)
        parts = self._deal(deal)
        after = (fold + 1) % self.num_folds
        rest = [p for i, p in enumerate(parts) if i not in (fold, after)]
        return np.sort(np.concatenate(rest)), parts[after], parts[fold]

    def _deal(self, deal: int) -> list[np.ndarray]:
        """Return the rows of every fold."""
        try:
            from sklearn import model_selection as of
        except ImportError as error:
            raise ImportError(
                "folds need scikit-learn: pip install 'coloss[study]'"
            ) from error
        splitters = {
            (False, False): of.KFold,
            (False, True): of.StratifiedKFold,
            (True, False): of.GroupKFold,
            (True, True): of.StratifiedGroupKFold,
        }
        kind = splitters[self.groups is not None, self.strata is not None]
        splitter = kind(self.num_folds, shuffle=True, random_state=self.seed + deal)
        count = _rows(self.x)
        made = splitter.split(np.zeros(count), self.strata, self.groups)
        return [test for _, test in made]

    def _scales(self, rows: np.ndarray) -> Scales:
        if not self.standardize:
            return None
        if isinstance(self.x, Mapping):
            return {n: Standardizer.fit(v[rows]) for n, v in self.x.items()}
        return Standardizer.fit(self.x[rows])

    def _part(self, rows: np.ndarray, scales: Scales) -> Part:
        x: Tensor = _take(self.x, rows)
        y = _take(self.y, rows)
        if isinstance(x, Mapping) and isinstance(scales, dict):
            x = {name: scales[name](values) for name, values in x.items()}
        elif isinstance(scales, Standardizer):
            x = scales(x)
        return x, y


def folds(
    x: Rows,
    y: Rows,
    *,
    groups: ArrayLike | None = None,
    num_folds: int = 5,
    stratify: ArrayLike | bool | None = None,
    standardize: bool = False,
    seed: int = 0,
) -> Folds:
    """Return splits by seed, for `coloss.Study(data=...)`.

    Each seed of the study tests on another fold; after `num_folds` seeds the rows are
    dealt anew. Seeds that test on the same rows are not independent of one another:
    an interval over them is somewhat too narrow.

    Args:
        x: (rows, ...) inputs, or a dict of them by member.
        y: (rows, ...) labels, or a dict of them by member.
        groups: (rows,) of each row its speaker, patient, recording; the rows of a
            group are never on two sides of a split. None: rows are dealt one by one.
        num_folds: at least 3: one to test on, one to select on, the rest to train on.
        stratify: (rows,) of each row what all folds should have as much of; None:
            the class, where labels are classes; False: nothing.
        standardize: whether inputs (rows, features) get mean 0 and deviation 1 over
            the training rows.
        seed: of the first deal.

    Returns:
        A function `seed -> Split`; its `rows(seed)` are the row numbers.

    Raises:
        ImportError: if scikit-learn is not installed (at the first split).
        ValueError: if lengths differ, or there are fewer groups or rows than folds.

    Reference:
        scikit-learn's `KFold`, `GroupKFold`, `StratifiedKFold`, `StratifiedGroupKFold`.

    Examples:
        >>> import numpy as np, coloss
        >>> x, y = np.arange(12.0)[:, None], np.arange(12) % 2
        >>> speakers = np.repeat(["a", "b", "c", "d"], 3)
        >>> made = coloss.data.folds(x, y, groups=speakers, num_folds=4)
        >>> train, validation, test = made.rows(0)
        >>> len(set(speakers[train])), len(set(speakers[test]))
        (2, 1)
    """
    if num_folds < 3:
        raise ValueError(
            "`num_folds` must be at least 3 (to train, select and test on); found "
            f"{num_folds}."
        )
    count = _rows(x)
    for what, values in (("y", y), ("groups", groups)):
        found = count if values is None else _rows(values)
        if found != count:
            raise ValueError(f"`{what}` has {counted(found, 'row')}; `x` has {count}.")
    grouped = None if groups is None else np.asarray(groups)
    units = count if grouped is None else len(np.unique(grouped))
    if units < num_folds:
        what = "rows" if grouped is None else "groups"
        raise ValueError(f"{num_folds} folds need as many {what}; found {units}.")
    strata = _classes(y) if stratify is None else stratify
    if strata is False:
        strata = None
    elif strata is not None and _rows(strata) != count:
        raise ValueError(
            f"`stratify` has {counted(_rows(strata), 'row')}; `x` has {count}."
        )
    strata = None if strata is None else np.asarray(strata)
    return Folds(x, y, grouped, strata, num_folds, seed, standardize)


def _rows(values: Rows) -> int:
    if isinstance(values, Mapping):
        values = next(iter(values.values()))
    return len(values)


def _take(values: Rows, rows: np.ndarray) -> Rows:
    if isinstance(values, Mapping):
        return {name: np.asarray(array)[rows] for name, array in values.items()}
    return np.asarray(values)[rows]


def _classes(y: Rows) -> np.ndarray | None:
    """Return (rows,) classes, unlabeled rows as one of their own; None: no classes."""
    labels = np.asarray(next(iter(y.values())) if isinstance(y, Mapping) else y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 1 and labels.dtype.kind in "iubUS":
        return labels
    if labels.ndim == 2 and labels.dtype.kind == "f":
        unlabeled = np.isnan(labels).any(axis=1)
        if np.allclose(labels[~unlabeled].sum(axis=1), 1.0):
            return np.where(unlabeled, -1, np.nan_to_num(labels).argmax(axis=1))
    return None
