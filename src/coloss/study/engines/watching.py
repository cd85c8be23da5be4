"""What weights, conflicts and trained coefficients were in each run of a population."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coloss.study.trial import Trial
from coloss.typing import Tensor


class Watch:
    """Reads, once an epoch, what a single `fit` writes into its history.

    Args:
        trial: the arm, compiled.
        state: variables of all runs at their start, (runs, ...) each, in groups.
    """

    def __init__(self, trial: Trial, state: Sequence[Sequence[Tensor]]) -> None:
        """Find the variables among those that the runs carry."""
        trained, other = trial.groups[:2]
        balance, coefficients = trial.joint.auxiliary.balance, trial.joint.coefficients
        self._statistics = balance.statistics
        places = {id(variable): (0, i) for i, variable in enumerate(trained)}
        places |= {id(variable): (1, i) for i, variable in enumerate(other)}
        self._sums = {
            key: places[id(self._statistics.variable(key))]
            for key in self._statistics.names()
        }
        self._raw = {
            name: places[id(coefficients[name].raw)]
            for name in trial.joint.coefficient_layer.trained
        }
        self._before = self._read(state)

    def entries(
        self, state: Sequence[Sequence[Tensor]], runs: int
    ) -> list[dict[str, float]]:
        """Return what happened since the last call, as entries of each run's history.

        Args:
            state: as at the start, now.
            runs: how many of them are asked for, from the first.
        """
        now = self._read(state)
        raw = {name: np.asarray(state[g][i]) for name, (g, i) in self._raw.items()}
        found: list[dict[str, float]] = []
        for run in range(runs):
            # A trained coefficient is softplus of its variable.
            own = {name: float(np.logaddexp(0, v[run])) for name, v in raw.items()}
            before = {key: values[run] for key, values in self._before.items()}
            after = {key: values[run] for key, values in now.items()}
            own = self._statistics.entries(before, after) | own
            found.append(own)
        self._before = now
        return found

    def _read(self, state: Sequence[Sequence[Tensor]]) -> dict[str, np.ndarray]:
        # Copies: an epoch's program is given the memory of the state before it.
        return {
            key: np.array(state[group][index])
            for key, (group, index) in self._sums.items()
        }
