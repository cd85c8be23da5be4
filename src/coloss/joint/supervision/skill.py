"""The coefficient of determination as a metric that keeps its digits."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from coloss.transfer.masks import raised
from coloss.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="coloss")
class R2(keras.metrics.Metric):
    r"""Coefficient of determination: 1 is perfect, 0 as good as the mean of the labels.

    $$\mathrm{mean}_d \Bigl(1 - \frac{\sum_b w_b (y_{b,d} - \hat y_{b,d})^2}
                                     {\sum_b w_b (y_{b,d} - \bar y_d)^2}\Bigr)$$

    Keras's `R2Score` sums squares of the labels in 32 bits, and loses its digits where
    they are far from 0 (years, air pressures). Here means and spreads of batches are
    merged: Chan, Golub and LeVeque 1979. A value of which all labels are alike counts
    0, as does a metric that saw no row.

    Args:
        name: in the history, after the member's.
        dtype: of the state.
    """

    def __init__(self, name: str = "r2", dtype: Any = None) -> None:
        """Create nothing yet: the number of values is seen with the first batch."""
        super().__init__(name=name, dtype=dtype)
        # More is better; where Keras's own metrics say so.
        self._direction = "up"
        self._built = False

    def _build(self, shape: Shape) -> None:
        for part, width in (("rows", 1), ("means", shape[-1]), ("spread", shape[-1])):
            made = self.add_variable((width,), initializer="zeros", name=part)
            setattr(self, f"_{part}", made)
        self._squares = self.add_variable(
            (shape[-1],), initializer="zeros", name="squares"
        )
        self._built = True

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Take in one batch.

        Args:
            y_true: (batch, ..., values) labels.
            y_pred: predictions of the same shape; (batch,) where there is one value.
            sample_weight: (batch,) or (batch, ...); None: 1.
        """
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_pred = ops.expand_dims(y_pred, -1) if len(y_pred.shape) == 1 else y_pred
        if not self._built:
            self._build(tuple(y_pred.shape))
        weight = ops.ones_like(y_pred[..., :1])
        if sample_weight is not None:
            given = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            weight = weight * raised(given, len(y_pred.shape))
        width = y_pred.shape[-1]
        values = ops.reshape(y_pred, (-1, width))
        labels = ops.reshape(ops.convert_to_tensor(y_true, self.dtype), (-1, width))
        weight = ops.reshape(weight, (-1, 1))
        rows = ops.sum(weight, axis=0)
        means = ops.divide_no_nan(ops.sum(weight * labels, axis=0), rows)
        before = ops.convert_to_tensor(self._rows)
        shift = means - ops.convert_to_tensor(self._means)
        merged = shift * ops.divide_no_nan(rows, before + rows)
        spread = ops.sum(weight * ops.square(labels - means), axis=0)
        self._spread.assign_add(spread + shift * merged * before)
        self._squares.assign_add(ops.sum(weight * ops.square(labels - values), axis=0))
        self._means.assign_add(merged)
        self._rows.assign_add(rows)

    def result(self) -> Tensor:
        """Return the mean over the values of a label."""
        if not self._built:
            return ops.zeros(())
        spread = ops.convert_to_tensor(self._spread)
        squares = ops.convert_to_tensor(self._squares)
        return ops.mean(ops.divide_no_nan(spread - squares, spread))

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape, dtype=variable.dtype))
