"""`Study`: the same question asked of every arm, over many seeds."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from coloss.objective.errors import nearest
from coloss.study.arms import Arm, Run, read_arms, spread
from coloss.study.engines.choice import choose
from coloss.study.result import StudyResult
from coloss.study.settings import Record, Training
from coloss.study.store import Store
from coloss.study.trial import Rows, Starts, Trial


class Study:
    """Trains every arm once a seed, in pairs, and says whether the main network gained.

    Runs of one seed have the same split, the same initial weights of each member, and
    the same order of rows.

    Args:
        build: returns an uncompiled `JointModel`.
        data: a `coloss.data.Split`, or a function of the seed that returns one.
        arms: by name, an objective, or a dict of what differs: `objective`,
            `coefficients`, `weighting`, `aggregator`, `compile`, `build`, `data`.
        compile: arguments of `JointModel.compile` for all arms.
        coefficients: number, schedule, list to try, or SciPy distribution by name, for
            the arms whose objective names them.
        learning_rates: to try; None: that of the optimizer.
        samples: points to draw where a coefficient is a distribution.
        seeds: how many (0, 1, ...), or which.
        epochs: of each run.
        batch_size: rows a step.
        main: the member whose gain is asked.
        metric: an entry such as "acoustic_accuracy"; None: the main member's first
            metric, or its loss.
        baseline: the arm that others are compared with; None: "alone" if there is
            one, else the first.
        patience: epochs without a better validation metric before a run stops and
            goes back to its best weights; None: no early stopping.
        validation_freq: epochs from one validation to the next.

    Raises:
        TypeError, ValueError: for any argument that cannot be used.

    Example:
        >>> import coloss, keras
        >>> def build():
        ...     def network(width):
        ...         return keras.Sequential(
        ...             [keras.Input((width,)), keras.layers.Dense(10, "softmax")]
        ...         )
        ...     return coloss.JointModel({"fou": network(76), "kar": network(64)})
        >>> study = coloss.Study(
        ...     build,
        ...     lambda seed: coloss.data.load_digits_views(("fou", "kar"), 100, seed),
        ...     arms={"alone": "fou", "taught": "fou + kar + w*distill(kar >> fou)"},
        ...     compile={
        ...         "optimizer": "adam",
        ...         "loss": "sparse_categorical_crossentropy",
        ...         "metrics": ["accuracy"],
        ...     },
        ...     coefficients={"w": [0.5, 1.0]},
        ...     seeds=3,
        ...     epochs=2,
        ...     main="fou",
        ... )
        >>> len(study.runs)
        9
    """

    def __init__(
        self,
        build: Callable[[], Any],
        data: Any,
        arms: Mapping[str, Any],
        *,
        compile: Mapping[str, Any] | None = None,
        coefficients: Mapping[str, Any] | None = None,
        learning_rates: Sequence[float] | None = None,
        samples: int | None = None,
        seeds: int | Iterable[int] = 20,
        epochs: int = 50,
        batch_size: int = 32,
        main: str,
        metric: str | None = None,
        baseline: str | None = None,
        patience: int | None = None,
        validation_freq: int = 1,
    ) -> None:
        """Check what can be checked without a network."""
        if not callable(build):
            raise TypeError(
                "`build` must be a function without arguments that returns a "
                f"JointModel; found {type(build).__name__}."
            )
        self.build, self.data, self.main = build, data, main
        self.arms = read_arms(
            arms, build, data, dict(compile or {}), dict(coefficients or {})
        )
        self.seeds = _seeds(seeds)
        self.epochs = _whole("epochs", epochs, 1)
        self.batch_size = _whole("batch_size", batch_size, 1)
        self.patience = None if patience is None else _whole("patience", patience, 1)
        self.validation_freq = _whole("validation_freq", validation_freq, 1)
        self.learning_rates, self.samples = learning_rates, samples
        self.metric = metric
        self.baseline = _baseline(baseline, self.arms)
        self._rows = {id(arm.data): Rows(arm.data) for arm in self.arms.values()}
        self._runs = {
            name: spread(arm, self.seeds, learning_rates, samples)
            for name, arm in self.arms.items()
        }

    @property
    def runs(self) -> list[Run]:
        """Every run of every arm."""
        return [run for runs in self._runs.values() for run in runs]

    def run(
        self,
        engine: str = "auto",
        path: str | Path | None = None,
        verbose: bool = True,
        **options: Any,
    ) -> StudyResult:
        """Train what has not been trained yet, and return the result.

        Args:
            engine: "jax" (the whole population as one program), "sequential" (one
                `fit` after the other, any backend), "ray" (on a cluster), or "auto":
                "jax" where it is the backend, else "sequential".
            path: a file to which each finished run is written; runs that are in it
                are not done again. None: nothing is written.
            verbose: whether to show a progress bar.
            **options: of the engine: `chunk` and `form` of "jax".

        Returns:
            The result, which prints as a table.

        Raises:
            ValueError: before any training, if an arm cannot be trained, or the file
                belongs to another study.
        """
        compute = choose(engine, options)
        trials = self._trials()
        training = self._training(trials)
        store = Store(path, self._description(training))
        try:
            done = store.records()
            left = [run for run in self.runs if run.key not in done]
            tick = _progress(len(left) * self.epochs, verbose)
            for name, trial in trials.items():
                runs = [run for run in left if run.arm == name]
                for record in compute(trial, runs, training, tick) if runs else ():
                    store.add(record)
            return self._result(store.records(), training)
        finally:
            store.close()

    def _trials(self) -> dict[str, Trial]:
        """Return every arm compiled; nothing is trained before all are."""
        starts, trials = Starts(self.build), {}
        for name, arm in self.arms.items():
            try:
                trial = Trial(arm, self._rows[id(arm.data)], starts, self.batch_size)
                trial.compile(self.seeds[0])
                if self.learning_rates is not None:
                    trial.rates()
            except (TypeError, ValueError, KeyError) as error:
                raise type(error)(f"arm {name!r}: {error}") from error
            trials[name] = trial
        return trials

    def _training(self, trials: Mapping[str, Trial]) -> Training:
        metric, direction = self.metric, None
        for name, trial in trials.items():
            if self.main not in trial.joint:
                raise ValueError(
                    f"`main`: arm {name!r} has no member {self.main!r}"
                    f"{nearest(self.main, list(trial.joint))} "
                    f"(members: {', '.join(trial.joint)})."
                )
            settings = trial.joint._compiled()
            entries = [one.metric.name for one in settings.metrics]
            if metric is None:
                own = [o.metric.name for o in settings.metrics if o.member == self.main]
                metric = own[0] if own else f"{self.main}_loss"
            if metric not in (*entries, *settings.ledger.entries):
                raise ValueError(
                    f"`metric`: arm {name!r} has no {metric!r}"
                    f"{nearest(metric, entries)} (entries: {', '.join(entries)})."
                )
            direction = direction or settings.direction(metric)
        if direction is None:
            raise ValueError(
                f"`metric`: nobody knows whether more or less {metric!r} is better; "
                "choose another."
            )
        return Training(
            epochs=self.epochs,
            batch_size=self.batch_size,
            metric=str(metric),
            direction=direction,
            patience=self.patience,
            validation_freq=self.validation_freq,
        )

    def _description(self, training: Training) -> dict[str, Any]:
        """Return what makes runs of equal keys the same runs."""
        return {
            "backend": keras.backend.backend(),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "metric": training.metric,
            "patience": self.patience,
            "validation_freq": self.validation_freq,
            **{f"arm {name}": _described(arm) for name, arm in self.arms.items()},
        }

    def _result(self, records: Mapping[str, Record], training: Training) -> StudyResult:
        return StudyResult(
            [records[run.key] for run in self.runs if run.key in records],
            {name: arm.objective for name, arm in self.arms.items()},
            main=self.main,
            metric=training.metric,
            direction=training.direction,
            baseline=self.baseline,
        )


def _described(arm: Arm) -> str:
    """Return an arm as text; numbers and strings only, functions by name."""

    def text(value: Any) -> str:
        if isinstance(value, Mapping):
            inner = ", ".join(f"{k}: {text(v)}" for k, v in value.items())
            return f"{{{inner}}}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(text, value))}]"
        if isinstance(value, str | int | float | bool) or value is None:
            return repr(value)
        if hasattr(value, "get_config"):
            return f"{type(value).__name__}({text(value.get_config())})"
        return str(getattr(value, "__qualname__", type(value).__name__))

    return f"{arm.objective} with {text(arm.coefficients)}, {text(arm.compile)}"


def _progress(total: int, verbose: bool) -> Callable[[float], None]:
    if not verbose or not total:
        return lambda epochs: None
    bar = keras.utils.Progbar(total, unit_name="epoch")
    return lambda epochs: bar.add(epochs) if epochs else None


def _seeds(given: int | Iterable[int]) -> list[int]:
    if isinstance(given, bool | str | float):
        raise TypeError(f"`seeds` must be a whole number or several; found {given!r}.")
    found = list(range(given)) if isinstance(given, numbers.Integral) else list(given)  # type: ignore[arg-type]
    if not found or len(set(found)) < len(found) or min(found) < 0:
        raise ValueError(
            f"`seeds` must be at least one whole number from 0, each once; found "
            f"{given!r}."
        )
    return [int(seed) for seed in found]


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"`{name}` must be a whole number; found {value!r}.")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}; found {value}.")
    return int(value)


def _baseline(given: str | None, arms: Mapping[str, Arm]) -> str:
    if given is None:
        return "alone" if "alone" in arms else next(iter(arms))
    if given not in arms:
        raise ValueError(
            f"`baseline`: no arm {given!r}{nearest(given, arms)} "
            f"(arms: {', '.join(arms)})."
        )
    return given
