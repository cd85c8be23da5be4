"""Points proposed by Optuna, a round at a time, so that each round is a population."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from coloss.study.arms import Arm, Point, is_list

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ROUND = 8
"""Points in a round: what an engine can train side by side."""

RATE = "learning_rate"


class OptunaRounds:
    """Asks Optuna for points, and tells it what they were worth.

    Lists become choices; SciPy's `uniform` and `loguniform` become ranges. The sampler
    is Optuna's tree-structured Parzen estimator, with a fixed seed.

    Args:
        arm: whose coefficients.
        learning_rates: to choose from; None: the optimizer's own.
        direction: "max" or "min".
        trials: points in all.

    Raises:
        ImportError: if Optuna is not installed.
        ValueError: if there is nothing to tune, or a distribution is another one.

    Reference:
        Bergstra et al. 2011, NeurIPS; Akiba et al. 2019, arXiv:1907.10902.
    """

    def __init__(
        self,
        arm: Arm,
        learning_rates: Sequence[float] | None,
        direction: str,
        trials: int,
    ) -> None:
        """Describe the space."""
        try:
            import optuna
        except ImportError as error:
            raise ImportError(
                'sampler="optuna" needs Optuna: pip install "coloss[optuna]"'
            ) from error
        self._space = {
            name: _space(name, value)
            for name, value in arm.coefficients.items()
            if is_list(value) or hasattr(value, "rvs")
        }
        self._names = list(self._space)
        if learning_rates is not None:
            self._space[RATE] = _space(RATE, list(map(float, learning_rates)))
        if not self._space:
            raise ValueError(
                f"arm {arm.name!r} has nothing to tune: give a coefficient of its "
                "objective as a list or a distribution, or `learning_rates`."
            )
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            direction="maximize" if direction == "max" else "minimize",
            sampler=optuna.samplers.TPESampler(seed=0),
        )
        optuna.logging.set_verbosity(before)
        self._left, self._asked = trials, []  # type: ignore[var-annotated]

    def __iter__(self) -> Iterator[list[Point]]:
        """Yield rounds of points; `tell` must be called after each."""
        while self._left > 0:
            size = min(ROUND, self._left)
            self._left -= size
            self._asked = [self._study.ask(self._space) for _ in range(size)]
            yield [self._point(trial.params) for trial in self._asked]

    def tell(self, values: Sequence[float]) -> None:
        """Say what the points of the last round were worth, in their order."""
        from optuna.trial import TrialState

        for trial, value in zip(self._asked, values, strict=True):
            if math.isnan(value):
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, value)

    def _point(self, params: dict[str, float]) -> Point:
        values = tuple((name, float(params[name])) for name in self._names)
        return values, params.get(RATE)


def _space(name: str, value: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if is_list(value):
        return CategoricalDistribution([float(one) for one in value])
    kind = value.dist.name
    if kind not in ("uniform", "loguniform", "reciprocal"):
        raise ValueError(
            f"coefficient {name!r}: Optuna takes lists, SciPy's uniform and "
            f"loguniform; found {kind}."
        )
    low, high = map(float, value.support())
    return FloatDistribution(low, high, log=kind != "uniform")
