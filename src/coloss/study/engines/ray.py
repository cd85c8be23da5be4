"""The runs of a study on a Ray cluster: the same runs as `sequential`, spread out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from coloss.study.arms import Arm, Run
from coloss.study.engines.sequential import sequential
from coloss.study.settings import Record, Training
from coloss.study.trial import Rows, Starts, Trial


def on_ray(
    trial: Trial,
    runs: Sequence[Run],
    training: Training,
    tick: Callable[[float], None],
    *,
    num_cpus: float = 1,
    num_gpus: float = 0,
    workers: int | None = None,
    retries: int = 3,
    address: str | None = None,
) -> Iterator[Record]:
    """Yield each run's record as it is finished; see `Engine`.

    Every worker builds and compiles the arm itself, once, and trains one run after the
    other. A worker that dies is started again, and its run is done again.

    Args:
        trial: the arm, compiled.
        runs: of that arm.
        training: how.
        tick: for a progress bar.
        num_cpus: processors of each worker.
        num_gpus: of each worker; a part where several share one.
        workers: how many; None: as many as the cluster has room for.
        retries: how often a worker is started again, and a run is done again.
        address: of a running cluster; None: the one this process is connected to, or a
            local one for the time of the study.

    Raises:
        ValueError: if the cluster has no room for a worker.
    """
    import ray

    started = not ray.is_initialized()
    if started:
        _start(address)
    crew: list[Any] = []
    try:
        room = _room(ray.cluster_resources(), num_cpus, num_gpus)
        work = _Work(trial, training, runs[0].seed)
        maker = ray.remote(_Worker).options(
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            max_restarts=retries,
            max_task_retries=retries,
            runtime_env={"env_vars": {"KERAS_BACKEND": keras.backend.backend()}},
        )
        # Once to each node, and kept here for workers that are started again.
        parcel = [ray.put(work)]
        crew = [maker.remote() for _ in range(min(workers or room, len(runs)))]
        found = ray.util.ActorPool(crew).map_unordered(
            lambda worker, run: worker.train.remote(parcel, run), runs
        )
        for record in found:
            tick(training.epochs)
            yield record
    finally:
        for worker in crew:
            ray.kill(worker)
        if started:
            ray.shutdown()


def _start(address: str | None) -> None:
    import ray

    with warnings.catch_warnings():
        # Ray starts its own processes by fork and exec: nothing of JAX runs between.
        warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called")
        ray.init(address=address, include_dashboard=False, log_to_driver=False)


def _room(resources: dict[str, float], num_cpus: float, num_gpus: float) -> int:
    """Return how many workers the cluster has room for."""
    counts = []
    for name, each in (("CPU", num_cpus), ("GPU", num_gpus)):
        total = resources.get(name, 0.0)
        if each > total:
            raise ValueError(
                f"a worker needs {each:g} {name}s; the cluster has {total:g}. Change "
                f"`num_{name.lower()}s`."
            )
        if each:
            counts.append(int(total // each))
    return max(1, min(counts, default=os.cpu_count() or 1))


class _Work:
    """What a worker needs to build an arm for itself.

    Args:
        trial: the arm, compiled here.
        training: how its runs are trained.
        seed: whose rows show the shapes.
    """

    def __init__(self, trial: Trial, training: Training, seed: int) -> None:
        self.arm: Arm = trial.arm
        self.build, self.source = trial.starts.build, trial.rows.source
        self.training, self.seed = training, seed

    def trial(self) -> Trial:
        training = self.training
        rows, starts = Rows(self.source), Starts(self.build)
        trial = Trial(self.arm, rows, starts, training.batch_size, training.parts)
        trial.compile(self.seed)
        return trial


class _Worker:
    """Trains runs of one arm, in a process of its own."""

    def __init__(self) -> None:
        self._work: _Work | None = None

    def train(self, parcel: list[Any], run: Run) -> Record:
        """Return the record of a run; the first call builds and compiles the arm.

        Args:
            parcel: a reference to the work: in a list, Ray does not fetch it unasked.
            run: which.
        """
        import ray

        if self._work is None:
            self._work = ray.get(parcel[0])
            self._trial = self._work.trial()
        training = self._work.training
        return next(sequential(self._trial, [run], training, lambda epochs: None))
