"""Finding good coefficients and learning rates on validation rows alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from coloss.checking import COUNT
from coloss.study import checks, halving, sampling
from coloss.study.arms import Arm, Point, Run
from coloss.study.engines.choice import choose
from coloss.study.settings import Engine, Record, Training
from coloss.study.store import Store
from coloss.study.trial import Trial

BUDGETS = ("epochs", "seeds")
SAMPLERS = ("halving", "optuna")


class Tunable(Protocol):
    """What tuning needs of a `Study`."""

    @property
    def arms(self) -> Mapping[str, Arm]:
        """Arms by name."""

    @property
    def runs(self) -> Sequence[Run]:
        """Every run."""

    @property
    def seeds(self) -> Sequence[int]:
        """Their seeds."""

    @property
    def epochs(self) -> int:
        """Passes over the data of a run."""

    @property
    def learning_rates(self) -> Sequence[float] | None:
        """Rates to try; None: the optimizer's own."""

    def prepare(
        self, arms: Iterable[str] | None = None, **training: Any
    ) -> tuple[dict[str, Trial], Training]:
        """Compile arms, without training anything."""

    def compute(
        self,
        engine: Engine,
        trials: Mapping[str, Trial],
        runs: Sequence[Run],
        training: Training,
        verbose: bool,
    ) -> Iterator[Record]:
        """Yield each run's record as it is finished."""

    def fingerprints(self, arms: Iterable[str], parts: Iterable[str]) -> dict[str, Any]:
        """Return what tells the data and the networks of arms from others."""

    def description(self, training: Training) -> dict[str, Any]:
        """Return what makes runs of equal keys the same runs."""


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The point that is best on validation rows.

    Attributes:
        arm: that was tuned.
        coefficients: the chosen value of each coefficient that varied.
        learning_rate: the chosen one; None: the optimizer's own.
        metric: of the validation rows, by which was chosen.
        value: its mean over the seeds, at the chosen point, on the full budget.
        table: one row a point and rung: rung, epochs, seeds, coefficients,
            `validation_<metric>`, and whether the point was kept.
    """

    arm: str
    coefficients: dict[str, float]
    learning_rate: float | None
    metric: str
    value: float
    table: pd.DataFrame

    def __str__(self) -> str:
        """Return the chosen point, and the table."""
        chosen = dict(self.coefficients)
        if self.learning_rate is not None:
            chosen["learning_rate"] = self.learning_rate
        point = ", ".join(f"{name}={value:g}" for name, value in chosen.items())
        return (
            f"{self.arm!r}: {point} ({self.metric} {self.value:.4f} on validation "
            f"rows)\n\n{self.table.to_string(index=False)}"
        )


def tune(
    study: Tunable,
    arm: str,
    *,
    sampler: str,
    budget: str,
    factor: int,
    least: int,
    trials: int,
    engine: str,
    path: str | Path | None,
    verbose: bool,
    accept_changes: bool,
    options: dict[str, Any],
) -> Tuned:
    """Return an arm's best point; see `Study.tune`."""
    checks.known("`arm`", arm, study.arms)
    checks.one_of("sampler", sampler, SAMPLERS)
    checks.one_of("budget", budget, BUDGETS)
    measured = Measured(
        study, arm, choose(engine, options), path, verbose, accept_changes
    )
    try:
        if sampler == "optuna":
            _with_optuna(measured, trials)
        else:
            _by_halving(measured, budget, factor, least)
    finally:
        measured.close()
    return measured.tuned()


class Measured:
    """Measures points on validation rows, and writes down what it found.

    Args:
        study: whose rows and settings.
        arm: whose points.
        engine: what trains.
        path: a file for finished runs, or None.
        verbose: whether to show progress bars.
        accept_changes: as in `Study.run`.

    Attributes:
        arm: the arm itself.
        study: the study.
        direction: "max" or "min": which way the metric is better.
    """

    def __init__(
        self,
        study: Tunable,
        arm: str,
        engine: Engine,
        path: str | Path | None,
        verbose: bool,
        accept_changes: bool = False,
    ) -> None:
        """Compile the arm; no test row is read."""
        self.study, self.arm, self._engine = study, study.arms[arm], engine
        self._trials, self._training = study.prepare([arm], parts=("validation",))
        self.direction = self._training.direction
        self._verbose = verbose
        told = {**study.description(self._training), "tuned": arm}
        parts = self._training.parts
        prints = study.fingerprints([arm], parts) if path else {}
        self._store = Store(path, told, prints, accept_changes)
        self._known = {k: self._value(r) for k, r in self._store.records().items()}
        self._rows: list[dict[str, Any]] = []
        self._final: dict[Point, float] = {}

    def points(self) -> list[Point]:
        """Return the points of the arm's grid."""
        own = [run for run in self.study.runs if run.arm == self.arm.name]
        return list(dict.fromkeys((run.values, run.learning_rate) for run in own))

    def __call__(
        self, points: Sequence[Point], seeds: Sequence[int], epochs: int, rung: int
    ) -> list[float]:
        """Return each point's mean over the seeds of the metric on validation rows."""
        runs = {
            point: [Run(self.arm.name, seed, *point) for seed in seeds]
            for point in points
        }
        left = [run for own in runs.values() for run in own]
        left = [run for run in left if _key(run, epochs) not in self._known]
        training = dataclasses.replace(self._training, epochs=epochs)
        for record in self.study.compute(
            self._engine, self._trials, left, training, self._verbose
        ):
            key = _key(record.run, epochs)
            self._store.add(record, key)
            self._known[key] = self._value(record)
        # A sampler may propose a point twice.
        found = {
            point: float(np.mean([self._known[_key(run, epochs)] for run in own]))
            for point, own in runs.items()
        }
        full = len(seeds) == len(self.study.seeds) and epochs == self.study.epochs
        for point, value in found.items():
            self._note(point, value, len(seeds), epochs, rung)
            if full:
                self._final[point] = value
        return [found[point] for point in points]

    def keep(self, rung: int, kept: Iterable[Point]) -> None:
        """Write down which points of a rung go on."""
        chosen = set(kept)
        for row in self._rows:
            if row["rung"] == rung:
                row["kept"] = row["point"] in chosen

    def tuned(self) -> Tuned:
        """Return the best of the points that were measured on the full budget."""
        points = list(self._final)
        first = halving.best(list(self._final.values()), 1, self.direction)[0]
        values, rate = points[first]
        table = pd.DataFrame(
            [
                {name: value for name, value in row.items() if name != "point"}
                for row in self._rows
            ]
        )
        return Tuned(
            self.arm.name,
            dict(values),
            rate,
            self._training.metric,
            self._final[points[first]],
            table,
        )

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _value(self, record: Record) -> float:
        return (
            float("nan") if record.error else record.validation[self._training.metric]
        )

    def _note(
        self, point: Point, value: float, seeds: int, epochs: int, rung: int
    ) -> None:
        values, rate = point
        row: dict[str, Any] = {"rung": rung, "epochs": epochs, "seeds": seeds}
        row |= dict(values)
        if rate is not None:
            row["learning_rate"] = rate
        row[f"validation_{self._training.metric}"] = value
        self._rows.append({**row, "kept": False, "point": point})


def _key(run: Run, epochs: int) -> str:
    """Return a text that a run has on one budget."""
    return f"{run.key} | epochs={epochs}"


def _by_halving(measured: Measured, budget: str, factor: int, least: int) -> None:
    points, study = measured.points(), measured.study
    if len(points) < 2:
        raise ValueError(
            f"arm {measured.arm.name!r} has nothing to tune: give several values of a "
            "coefficient of its objective, or `learning_rates`."
        )
    most = study.epochs if budget == "epochs" else len(study.seeds)
    schedule = halving.rungs(len(points), most, factor, least)
    for rung, (_, amount) in enumerate(schedule):
        seeds = study.seeds if budget == "epochs" else study.seeds[:amount]
        epochs = amount if budget == "epochs" else study.epochs
        found = measured(points, seeds, epochs, rung)
        last = rung + 1 == len(schedule)
        keep = 1 if last else schedule[rung + 1][0]
        points = [points[i] for i in halving.best(found, keep, measured.direction)]
        measured.keep(rung, points)


def _with_optuna(measured: Measured, trials: int) -> None:
    study = measured.study
    COUNT.integer("`trials`", trials)
    rounds = sampling.OptunaRounds(
        measured.arm, study.learning_rates, measured.direction, trials
    )
    for rung, points in enumerate(rounds):
        found = measured(points, study.seeds, study.epochs, rung)
        rounds.tell(found)
        measured.keep(rung, [points[halving.best(found, 1, measured.direction)[0]]])
