"""PCD: one summand leads, and the others get at least a share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from keras import ops

from coloss.aggregation.base import Aggregator
from coloss.aggregation.gramian import normalized
from coloss.aggregation.quadratic import RIDGE, solve_nonnegative
from coloss.checking import NOT_NEGATIVE, SHARE, NumberRule, Rules
from coloss.names import nearest
from coloss.typing import Seed, State, Tensor

ROUNDING = 1e-6
"""A squared length is 0 if no larger, relative to the parts that it is made of."""


def pcd_weights(gramian: Tensor, scales: Tensor, primary: int, tau: float) -> Tensor:
    r"""Weights of priority-constrained descent (2026, TMLR, arXiv:2606.29521).

    With the primary gradient $g_1$ and $\tilde g_k = s_k g_k$,

    $$\tilde d = \arg\min_d \|d - \tilde g_1\|^2 \quad \text{with} \quad
      \langle \tilde g_j, d \rangle \ge \tau \|\tilde g_j\|^2 \text{ for the others}$$

    then brought to the length of $g_1$. The primary gradient is followed as closely as
    a share of progress for each of the others allows.

    The dual, with one multiplier for each of the others, is a quadratic programme;
    solved on cosines C + 1e-5 I, see `quadratic`. Against float64 the combined gradient
    is off by at most 5e-3 of the primary's length, usually by 1e-6. Where the shares
    cannot all be given (one would miss more than half of its share) all are dropped:
    $d = g_1$, as in the paper.

    Args:
        gramian: (K, K), symmetric, positive semi-definite.
        scales: (K,) s.
        primary: which summand leads, from 0.
        tau: share of progress, from 0 to 1.

    Returns:
        (K,), not negative; all 0 if the primary gradient or d is 0.
    """
    k = int(gramian.shape[0])
    front = np.array([primary, *(i for i in range(k) if i != primary)])
    cosines, lengths, inverse = normalized(gramian)
    cosines = ops.take(ops.take(cosines, front, axis=0), front, axis=1)
    lengths, inverse, scales = (ops.take(v, front) for v in (lengths, inverse, scales))
    levelled = lengths * scales
    parts = levelled[:1]  # Of d, in unit gradients.
    if k > 1:
        shares = tau * levelled[1:]
        given = _multipliers(cosines, levelled[0], shares)
        parts = ops.concatenate([parts, given])
    square = ops.sum(parts * ops.matmul(cosines, parts))
    some = square > ROUNDING * ops.square(ops.sum(parts))
    length = ops.where(some, lengths[0] / ops.sqrt(ops.where(some, square, 1.0)), 0.0)
    return ops.take(inverse * parts * length, np.argsort(front))


def _multipliers(cosines: Tensor, primary: Tensor, shares: Tensor) -> Tensor:
    """Return how much of each other unit gradient is added, all 0 if in vain."""
    others = cosines[1:, 1:]
    matrix = others + RIDGE * ops.eye(others.shape[0], dtype=others.dtype)
    slack = cosines[1:, 0] * primary - shares
    unit = ops.maximum(ops.maximum(primary, ops.max(shares)), 1e-30)
    added = solve_nonnegative(matrix, slack[None] / unit)[0] * unit
    missing = -(slack + ops.matmul(others, added))
    in_vain = ops.any(missing > 0.5 * shares + 1e-3 * unit)
    return ops.where(in_vain, 0.0, added)


@dataclass(frozen=True)
class PCD(Aggregator):
    r"""One summand leads, the others get a share of progress. See `pcd_weights`.

    The scales are $s_k = 1/\sqrt{v_k + \epsilon}$, with $v_k$ the moving average of
    $\|g_k\|^2$, free of the bias of its start. Level: parameter.

    Args:
        primary: the summand that leads, as it prints, or its place from 0.
        tau: share of progress for each of the others, from 0 to 1.
        beta: how slowly the averages of squared lengths move, from 0 to 1, not 1.
        eps: added to these averages, at least 0; in units of squared gradients.

    Raises:
        TypeError: if a value is of another kind.
        ValueError: if a value is out of range.
    """

    primary: str | int
    tau: float = 0.02
    beta: float = 0.999
    eps: float = 1e-8

    rules: ClassVar[Rules] = {
        "tau": SHARE,
        "beta": NumberRule(least=0, below=1),
        "eps": NOT_NEGATIVE,
    }

    def __post_init__(self) -> None:
        """Check the values."""
        if isinstance(self.primary, bool) or not isinstance(self.primary, str | int):
            raise TypeError(
                "`primary` of PCD must be a summand as it prints, or its place from 0; "
                f"found {self.primary!r}."
            )
        super().__post_init__()

    def check(self, names: Sequence[str]) -> None:
        """Refuse a primary summand that is not there.

        Args:
            names: the summands.

        Raises:
            ValueError: if `primary` is none of them.
        """
        super().check(names)
        self._place(names)

    def bind(self, names: Sequence[str]) -> Self:
        """Return the aggregator with its primary summand as a place.

        Args:
            names: the summands, in the order of the Gramian.

        Raises:
            ValueError: if `primary` is none of them.
        """
        self.check(names)
        return replace(self, primary=self._place(names))

    def init(self, k: int) -> dict[str, np.ndarray]:
        """Return averages of nothing.

        Args:
            k: number of summands.
        """
        return {"square": np.zeros(k, "float32"), "mass": np.zeros((), "float32")}

    def _place(self, names: Sequence[str]) -> int:
        if isinstance(self.primary, int):
            if 0 <= self.primary < len(names):
                return self.primary
            raise ValueError(
                f"`primary` of PCD must be a place from 0 to {len(names) - 1}; found "
                f"{self.primary}. The summands are {', '.join(names)}."
            )
        if list(names).count(self.primary) != 1:
            raise ValueError(
                f"`primary` of PCD must be one of the summands {', '.join(names)}; "
                f"found {self.primary!r}{nearest(self.primary, names) or '.'}"
            )
        return list(names).index(self.primary)

    def _step(self, state: State, gramian: Tensor, seed: Seed) -> tuple[Tensor, State]:
        k = int(gramian.shape[0])
        if isinstance(self.primary, str):
            raise ValueError(
                f"PCD must know which place {self.primary!r} has: call `bind` with the "
                "summands first, or give `primary` as a place from 0."
            )
        primary = self._place([str(place) for place in range(k)])
        # What the averages weigh so far moves with them, rounding included.
        new = {
            "square": self._moved(state["square"], ops.diagonal(gramian)),
            "mass": self._moved(state["mass"], 1.0),
        }
        size = new["square"] / new["mass"] + self.eps
        some = size > 0.0
        scales = ops.where(some, 1.0 / ops.sqrt(ops.where(some, size, 1.0)), 0.0)
        return pcd_weights(gramian, scales, primary, self.tau), new

    def _moved(self, average: Tensor, value: Tensor | float) -> Tensor:
        return self.beta * average + (1.0 - self.beta) * value
