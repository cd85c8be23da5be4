"""`Study`: the same question asked of every arm, over many seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from coloss.checking import COUNT
from coloss.data.split import Split
from coloss.joint import JointModel
from coloss.names import nearest
from coloss.study import checks
from coloss.study.arms import Run, read_arms, spread
from coloss.study.controls import added
from coloss.study.engines.choice import choose
from coloss.study.engines.sequential import train_one
from coloss.study.fingerprint import fingerprints
from coloss.study.progress import StudyProgress
from coloss.study.result import StudyResult
from coloss.study.settings import Engine, Record, Training, judged_by
from coloss.study.store import Store
from coloss.study.trial import Rows, Starts, Trial
from coloss.study.tuning import Tuned, tune

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """Trains every arm once a seed, in pairs, and says whether the main network gained.

    Runs of one seed have the same split, the same initial weights of each member, and
    the same order of rows.

    Args:
        build: returns an uncompiled `JointModel`.
        data: a `coloss.data.Split`, or a function of the seed that returns one.
        arms: by name, an objective, or a dict of what differs: `objective`,
            `coefficients`, `weighting`, `aggregator`, `compile`, `build`, `data`,
            `control` (whether its gain cannot come from other networks), `labels_of`
            (the member whose labels all others have, too).
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
        controls: arms to add, out of "alone", "self-training", "twin" (each helper
            replaced by a network of the main network's architecture and input, with
            another seed), "equal weights" and "random weights". The last three control
            the last arm that they can, or `{"twin": arm}`.

    Raises:
        TypeError, ValueError: for any argument that cannot be used.

    Examples:
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
        build: Callable[[], JointModel],
        data: Split | Callable[[int], Split],
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
        controls: Iterable[str] | Mapping[str, str] = (),
    ) -> None:
        """Check what can be checked without a network."""
        if not callable(build):
            raise TypeError(
                "`build` must be a function without arguments that returns a "
                f"JointModel; found {type(build).__name__}."
            )
        self.build, self.data, self.main = build, data, main
        shared = dict(coefficients or {})
        if isinstance(arms, Mapping):
            arms = added(controls, arms, main, shared, build, dict(compile or {}))
        self.arms = read_arms(arms, build, data, dict(compile or {}), shared)
        self.seeds = checks.seeds(seeds)
        self.epochs = COUNT.integer("`epochs`", epochs)
        self.batch_size = COUNT.integer("`batch_size`", batch_size)
        self.patience = (
            None if patience is None else COUNT.integer("`patience`", patience)
        )
        self.validation_freq = COUNT.integer("`validation_freq`", validation_freq)
        self.metric, self.learning_rates, self.samples = metric, learning_rates, samples
        self.baseline = checks.baseline(baseline, self.arms)
        self._rows = {id(arm.data): Rows(arm.data) for arm in self.arms.values()}
        self._runs = {
            name: spread(arm, self.seeds, learning_rates, samples)
            for name, arm in self.arms.items()
        }
        self._ready: tuple[Training, dict[str, Trial], Training] | None = None

    @property
    def runs(self) -> list[Run]:
        """Every run of every arm."""
        return [run for runs in self._runs.values() for run in runs]

    def run(
        self,
        engine: str = "auto",
        path: str | Path | None = None,
        verbose: bool = True,
        references: bool = False,
        accept_changes: bool = False,
        **options: Any,
    ) -> StudyResult:
        """Train what has not been trained yet, and return the result.

        Args:
            engine: "jax" (the whole population as one program), "sequential" (one
                `fit` after the other, any backend), "ray" (on a cluster), or "auto":
                "jax" where it is the backend and the networks are small or there is
                more than one CPU to fill, else "sequential".
            path: a file to which each finished run is written; runs that are in it
                are not done again. None: nothing is written.
            verbose: whether to show a progress bar.
            references: whether to measure classifiers of scikit-learn beside the arms,
                on the rows of the baseline; see `coloss.study.references`.
            accept_changes: whether to go on with a file whose runs had other data,
                networks or settings; a warning says which. Else they are refused.
            **options: of the engine: `chunk` and `form` of "jax"; `num_cpus`,
                `num_gpus`, `workers`, `retries` and `address` of "ray".

        Returns:
            The result, which prints as a table.

        Raises:
            ValueError: before any training, if an arm cannot be trained, or the file
                belongs to another study, or its runs had other data or networks.
        """
        compute = choose(engine, options)
        (trials, training), self._ready = self.prepare(), None
        prints = self.fingerprints(self.arms, training.parts) if path else {}
        store = Store(path, self.description(training), prints, accept_changes)
        try:
            beside = self._references() if references else None
            done = store.records()
            left = [run for run in self.runs if run.key not in done]
            for record in self.compute(compute, trials, left, training, verbose):
                store.add(record)
            return self._result(store.records(), training, beside)
        finally:
            store.close()

    def prepare(
        self, arms: Iterable[str] | None = None, **training: Any
    ) -> tuple[dict[str, Trial], Training]:
        """Compile arms, without training anything; what engines work with.

        Args:
            arms: their names; None: all.
            **training: what is to differ from the study's own settings.

        Returns:
            A trial by name, and how its runs are trained.

        Raises:
            ValueError: if an arm cannot be trained.
        """
        settings = Training(
            epochs=self.epochs,
            batch_size=self.batch_size,
            metric=self.metric or "",
            direction="max",
            patience=self.patience,
            validation_freq=self.validation_freq,
        )
        settings = dataclasses.replace(settings, **training)
        # Arms that somebody compiled to look at them are trained as they are, once.
        ready, self._ready = self._ready, None
        if arms is None and ready is not None and ready[0] == settings:
            return ready[1:]
        trials = self._trials(self.arms if arms is None else arms, settings)
        metric, direction = judged_by(trials, self.main, self.metric)
        judged = dataclasses.replace(settings, metric=metric, direction=direction)
        self._ready = None if arms is not None else (settings, trials, judged)
        return trials, judged

    @staticmethod
    def compute(
        engine: Engine,
        trials: Mapping[str, Trial],
        runs: Sequence[Run],
        training: Training,
        verbose: bool,
    ) -> Iterator[Record]:
        """Yield each run's record as it is finished.

        Args:
            engine: of `coloss.study.engines`.
            trials: compiled arms, by name.
            runs: of these arms.
            training: how.
            verbose: whether to show a progress bar.
        """
        with StudyProgress(len(runs) * training.epochs, verbose) as progress:
            for name, trial in trials.items():
                own = [run for run in runs if run.arm == name]
                progress.arm(name)
                if own:
                    yield from engine(trial, own, training, progress)

    def tune(
        self,
        arm: str,
        *,
        sampler: str = "halving",
        budget: str = "epochs",
        factor: int = 3,
        least: int = 1,
        trials: int = 32,
        engine: str = "auto",
        path: str | Path | None = None,
        verbose: bool = True,
        accept_changes: bool = False,
        **options: Any,
    ) -> Tuned:
        """Find an arm's best coefficients and learning rate on validation rows.

        No test row is read. With `sampler="halving"` all points of the arm's grid are
        trained on a small budget, the best third on three times as much, and so on;
        every rung trains from the start.

        Args:
            arm: its name.
            sampler: "halving", or "optuna" (the extra `optuna`): `trials` points, each
                on the full budget, proposed by what earlier ones were worth.
            budget: of a rung: "epochs", on all seeds; or "seeds", for all epochs.
            factor: by which points shrink and budgets grow from rung to rung.
            least: the budget of the first rung, at least.
            trials: points that Optuna proposes.
            engine: as in `run`.
            path: a file to which each finished run is written; a second call does
                not do it again. None: nothing is written.
            verbose: whether to show progress bars.
            accept_changes: as in `run`.
            **options: of the engine.

        Returns:
            The chosen point, and a table of all rungs. Its `coefficients` can be given
            to another study, which then compares arms with these values.

        Raises:
            ValueError: before any training, for an unknown arm, one with nothing to
                tune, or a file of another study.
        """
        return tune(
            self,
            arm,
            sampler=sampler,
            budget=budget,
            factor=factor,
            least=least,
            trials=trials,
            engine=engine,
            path=path,
            verbose=verbose,
            accept_changes=accept_changes,
            options=options,
        )

    def retrain(self, run: Run) -> JointModel:
        """Train one run again, through `fit`, and return its networks.

        A study keeps figures, not networks. The run starts from the same weights and
        sees the same rows in the same order: it ends as it did, to rounding.

        Args:
            run: one of `runs`, such as `result.best("taught")`.

        Returns:
            The joint model; `[name]` is a network, a plain Keras model.

        Raises:
            ValueError: if the study has no such run.

        Examples:
            ```python
            study.retrain(result.best("taught"))["acoustic"].save("acoustic.keras")
            ```
        """
        if run not in self.runs:
            raise ValueError(
                f"the study has no run {run.key!r}"
                f"{nearest(run.key, [own.key for own in self.runs])}"
            )
        trials, training = self.prepare([run.arm])
        train_one(trials[run.arm], run, training, lambda epochs: None)
        return trials[run.arm].joint

    def _trials(self, names: Iterable[str], training: Training) -> dict[str, Trial]:
        """Return arms compiled; nothing is trained before all are."""
        starts, trials = Starts(self.build), {}
        for name in names:
            arm = self.arms[name]
            rows = self._rows[id(arm.data)]
            try:
                trial = Trial(arm, rows, starts, self.batch_size, training.parts)
                trial.compile(self.seeds[0])
                if self.learning_rates is not None:
                    trial.rates()
            except (TypeError, ValueError, KeyError) as error:
                raise type(error)(f"arm {name!r}: {error}") from error
            trials[name] = trial
        return trials

    def fingerprints(self, arms: Iterable[str], parts: Iterable[str]) -> dict[str, Any]:
        """Return what tells the data and the networks of arms from others.

        Args:
            arms: their names.
            parts: of the rows that are read, beside those to train on.
        """
        chosen = {name: self.arms[name] for name in arms}
        return fingerprints(chosen, self._rows, self.seeds, ("train", *parts))

    def description(self, training: Training) -> dict[str, Any]:
        """Return what makes runs of equal keys the same runs."""
        return {
            "backend": keras.backend.backend(),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "metric": training.metric,
            "patience": self.patience,
            "validation_freq": self.validation_freq,
            **{f"arm {name}": checks.described(arm) for name, arm in self.arms.items()},
        }

    def _references(self) -> pd.DataFrame:
        from coloss.study.references import references

        data = self.arms[self.baseline].data
        return references(self._rows[id(data)], self.seeds, self.main)

    def _result(
        self,
        records: Mapping[str, Record],
        training: Training,
        references: pd.DataFrame,
    ) -> StudyResult:
        return StudyResult(
            [records[run.key] for run in self.runs if run.key in records],
            {name: arm.objective for name, arm in self.arms.items()},
            main=self.main,
            metric=training.metric,
            direction=training.direction,
            baseline=self.baseline,
            controls=[name for name, arm in self.arms.items() if arm.control],
            references=references,
        )
