"""How well members that predict numbers do, measured while training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from coloss.typing import Tensor

TRAINED, VALIDATED = 0, 1
"""Rows of the counts: of training so far, and of the validation that goes on."""


class Errors(NamedTuple):
    """What one batch says of a member.

    Attributes:
        rows: how many have a label.
        squares: (values,) sum of squared errors.
        means: (values,) means of the labels.
        spread: (values,) sum of squared distances of the labels from their means.
    """

    rows: Tensor
    squares: Tensor
    means: Tensor
    spread: Tensor


class RunningErrors(keras.layers.Layer):
    r"""Running skill of members that predict numbers.

    $$\mathrm{skill} = \mathrm{mean}_d
      \Bigl(1 - \frac{\sum_b (y_{b,d} - \hat y_{b,d})^2}
                     {\sum_b (y_{b,d} - \bar y_d)^2}\Bigr)$$

    the coefficient of determination, averaged over the values d of a label: 1 is
    perfect, 0 as good as the mean of the labels. It has no unit, so that members with
    labels of different scale compare. Means and spreads of batches are merged as in
    Chan, Golub and LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances", which loses no digits where means are large.

    Args:
        widths: the number of values of a label, by member.
    """

    def __init__(self, widths: Mapping[str, int]) -> None:
        """Create the counts."""
        super().__init__(name="errors", trainable=False)
        self.widths = dict(widths)
        self._widest = max(widths.values())
        count, widest = len(self.widths), self._widest
        self._rows = self._counts("rows", (2, count, 1))
        for name in ("squares", "means", "spread"):
            setattr(self, f"_{name}", self._counts(name, (2, count, widest)))
        places = np.arange(widest)[None, :] < np.array([*self.widths.values()])[:, None]
        # Shares of the values that a member has; 0 beyond them.
        self._share = places / places.sum(axis=1, keepdims=True)
        self.built = True

    def _counts(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            dtype="float32",
            trainable=False,
            aggregation="mean",  # Every replica counts the whole batch.
            name=name,
        )

    def add(self, found: Mapping[str, Errors], phase: int) -> None:
        """Take in one batch.

        Args:
            found: by member.
            phase: `TRAINED` or `VALIDATED`.
        """

        def stacked(part: str) -> Tensor:
            padded = []
            for name, width in self.widths.items():
                # TensorFlow does not know the width of reshaped labels.
                value = ops.reshape(getattr(found[name], part), (width,))
                padded.append(ops.pad(value, [[0, self._widest - width]]))
            return ops.stack(padded)

        rows = ops.stack([ops.reshape(found[name].rows, (1,)) for name in self.widths])
        before, total = self._rows[phase], self._rows[phase] + rows
        shift = stacked("means") - self._means[phase]
        merged = shift * ops.divide_no_nan(rows, total)
        spread = stacked("spread") + shift * merged * before
        self._put(self._means, phase, merged)
        self._put(self._spread, phase, spread)
        self._put(self._squares, phase, stacked("squares"))
        self._put(self._rows, phase, rows)

    @staticmethod
    def _put(variable: keras.Variable, phase: int, change: Tensor) -> None:
        nothing = ops.zeros_like(change)
        pair = (change, nothing) if phase == TRAINED else (nothing, change)
        variable.assign(variable + ops.stack(pair))

    def forget_validation(self) -> None:
        """Set the counts of the validation to 0."""
        for variable in (self._rows, self._squares, self._means, self._spread):
            kept = ops.convert_to_tensor(variable)[TRAINED]
            variable.assign(ops.stack([kept, ops.zeros_like(kept)]))

    def skill(self, phase: int) -> Tensor:
        """Return (members,) skills, in the order of `widths`; 0 of no rows.

        A value of which all labels are alike says nothing, and counts 0.
        """
        spread = ops.convert_to_tensor(self._spread)[phase]
        squares = ops.convert_to_tensor(self._squares)[phase]
        each = ops.divide_no_nan(spread - squares, spread)
        return ops.sum(each * ops.cast(self._share, "float32"), axis=1)

    def rows(self, phase: int) -> Tensor:
        """Return (members,) labeled rows that were counted."""
        return ops.convert_to_tensor(self._rows)[phase][:, 0]
