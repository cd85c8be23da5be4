"""An arm made ready: its compiled model, its rows, and where each seed starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from coloss.data import Split
from coloss.joint import JointModel, JointOptimizer
from coloss.joint.inputs.missing_rows import Complete
from coloss.joint.keras_internals import set_random_seed
from coloss.joint.optimizers import inner
from coloss.study import arms
from coloss.study.arms import Arm, Run
from coloss.transfer.projector import Projector

Values = dict[int, np.ndarray]
Weights = Mapping[str, list[np.ndarray]]


class Rows:
    """The splits of a data source, each read once.

    Args:
        source: a `Split`, or a function of the seed that returns one.
    """

    def __init__(self, source: Split | Callable[[int], Split]) -> None:
        """Check what can be checked before the first seed."""
        if not isinstance(source, Split) and not callable(source):
            raise TypeError(
                "`data` must be a coloss.data.Split or a function of the seed that "
                f"returns one; found {type(source).__name__}."
            )
        self.source = source
        self._seen: dict[int, Split] = {}

    @property
    def same(self) -> bool:
        """Whether every seed has the same rows."""
        return isinstance(self.source, Split)

    def __call__(self, seed: int) -> Split:
        """Return the split of a seed.

        Raises:
            TypeError: if the function returns something else.
        """
        if isinstance(self.source, Split):
            return self.source
        if seed not in self._seen:
            split = self.source(seed)
            if not isinstance(split, Split):
                raise TypeError(
                    "`data` must return a coloss.data.Split; for seed "
                    f"{seed} it returned {type(split).__name__}."
                )
            self._seen[seed] = split
        return self._seen[seed]


class Starts:
    """Initial weights by seed: the same for every arm with members of one shape.

    Args:
        build: returns an uncompiled joint model; random numbers come from Keras's
            seed, which is set before each call.
    """

    def __init__(self, build: Callable[[], JointModel]) -> None:
        """Build nothing yet."""
        self.build = build
        self._seen: dict[tuple[int, Callable[[], JointModel]], Weights] = {}

    def __call__(
        self, build: Callable[[], JointModel], seed: int, x: Mapping[str, Any]
    ) -> Weights:
        """Return every member's variables at the start of a run.

        A member that the study's own `build` makes with the same shapes starts as
        it does there: arms that differ in members are pairs in those that they share.

        Args:
            build: the arm's own.
            seed: of the run.
            x: inputs by member, for networks that are built by their first call.
        """
        own = self._fresh(build, seed, x)
        if build is self.build:
            return own
        shared = self._fresh(self.build, seed, x)
        return {
            name: shared[name] if _alike(values, shared.get(name)) else values
            for name, values in own.items()
        }

    def _fresh(
        self, build: Callable[[], JointModel], seed: int, x: Mapping[str, Any]
    ) -> Weights:
        if (seed, build) not in self._seen:
            set_random_seed(seed)
            joint = build()
            if not joint.built:
                joint._symbolic_outputs({k: x[k] for k in joint.assembly.keys})
            self._seen[seed, build] = {
                name: [keras.ops.convert_to_numpy(v) for v in member.variables]
                for name, member in joint.members.items()
            }
        return self._seen[seed, build]


def own(arguments: object) -> Any:
    """Return arguments of `compile` with optimizers of their own.

    An optimizer belongs to the variables that it was built with: arms that are given
    the same one must not share it. A `MultiOptimizer` of Keras names variables of one
    model and is returned as it is.
    """
    if isinstance(arguments, Mapping):
        return {name: own(value) for name, value in arguments.items()}
    if not isinstance(arguments, keras.optimizers.Optimizer):
        return arguments
    several = isinstance(arguments, keras.optimizers.MultiOptimizer)
    if several and not isinstance(arguments, JointOptimizer):
        return arguments
    return inner.clone(arguments, arguments.name)


def _alike(values: list[np.ndarray], others: list[np.ndarray] | None) -> bool:
    return others is not None and [v.shape for v in values] == [v.shape for v in others]


class Trial:
    """The compiled model of an arm, used again for each of its runs.

    Args:
        arm: what to train.
        rows: its data.
        starts: initial weights.
        batch_size: rows a step.
        parts: of the rows that will be read, beside those to train on.

    Attributes:
        joint: the compiled model, with every variable created.
        groups: its variables as Keras's stateless train step takes them: trainable,
            other, optimizer, metrics.
    """

    def __init__(
        self,
        arm: Arm,
        rows: Rows,
        starts: Starts,
        batch_size: int,
        parts: Sequence[str] = ("validation", "test"),
    ) -> None:
        """Build the arm's model."""
        self.arm, self.rows, self.batch_size = arm, rows, batch_size
        self.starts, self._parts = starts, tuple(parts)
        self.joint = arm.build()
        if not isinstance(self.joint, JointModel):
            raise TypeError(
                "`build` must return a coloss.JointModel; found "
                f"{type(self.joint).__name__}."
            )

    def compile(self, seed: int) -> None:
        """Compile the model and create all its variables.

        Args:
            seed: whose rows show the shapes.

        Raises:
            ValueError: if objective, coefficients or rows do not fit the members.
        """
        arm, joint = self.arm, self.joint
        joint.compile(
            **{"on_ascent": "allow", **own(arm.compile)},
            objective=arm.objective,
            coefficients=arms.fixed(arm.coefficients),
        )
        for part in ("train", *self._parts):
            x, _, _ = self.part(seed, part)
            if not joint.built or joint._seen_shapes[1] is None:
                joint._symbolic_outputs(x)
        joint.built = True
        joint.optimizer.build(joint.trainable_variables)
        # Creates what Keras creates late: the running mean of the loss.
        joint.reset_metrics()
        self.groups = (
            list(joint.trainable_variables),
            list(joint.non_trainable_variables),
            list(joint.optimizer.variables),
            list(joint.metrics_variables),
        )
        self._first = [
            [keras.ops.convert_to_numpy(v) for v in group] for group in self.groups
        ]

    def part(self, seed: int, part: str) -> tuple[Any, Any, Complete]:
        """Return rows as train steps take them, checked.

        Args:
            seed: of the run.
            part: "train", "validation" or "test".

        Returns:
            Inputs by member, labels, and of which members nothing is missing.
        """
        x, y = getattr(self.rows(seed), part)
        if isinstance(x, dict):
            x = {key: x[key] for key in self.joint.assembly.keys if key in x}
        like = self.arm.labels_of
        if isinstance(y, dict) and like is not None:
            y = dict.fromkeys(self.joint.members, y[like])
        elif isinstance(y, dict):
            y = {name: labels for name, labels in y.items() if name in self.joint}
        found = self.joint.check_arrays(x, y, where=f"{part} rows: ")
        return found.x, found.y, found.complete

    def start(self, run: Run) -> list[list[np.ndarray]]:
        """Return the values of `groups` at the start of a run."""
        own: Values = {}
        x = self.rows(run.seed).train[0]
        for name, values in self.starts(self.arm.build, run.seed, x).items():
            own |= zip(map(id, self.joint[name].variables), values, strict=True)
        own |= self._projectors(run.seed)
        own |= self._draws(run.seed)
        for name, value in run.values:
            own[id(self.joint.coefficients[name])] = np.asarray(value, "float32")
        if run.learning_rate is not None:
            for rate in self.rates():
                own[id(rate)] = np.asarray(run.learning_rate, "float32")
        return [
            [own.get(id(v), first) for v, first in zip(group, firsts, strict=True)]
            for group, firsts in zip(self.groups, self._first, strict=True)
        ]

    def _projectors(self, seed: int) -> Values:
        set_random_seed(seed)
        found: Values = {}
        for layer in self.joint.auxiliary.projectors._flatten_layers():
            if isinstance(layer, Projector):
                fresh = Projector(layer.kind, layer.dimension)
                fresh.build(*layer._shapes)
                values = [keras.ops.convert_to_numpy(v) for v in fresh.variables]
                found |= zip(map(id, layer.variables), values, strict=True)
        return found

    def _draws(self, seed: int) -> Values:
        """Return the state of random numbers: of weights, of inputs left out."""
        dropout = self.joint.assembly.dropout
        drawn = [self.joint.auxiliary.balance.seeds, dropout and dropout.seeds]
        fresh = keras.ops.convert_to_numpy(keras.random.SeedGenerator(seed).state)
        return {id(seeds.state): fresh for seeds in drawn if seeds is not None}

    def rates(self) -> list[Any]:
        """Return the variables that hold a learning rate.

        Raises:
            ValueError: if the optimizer has a schedule.
        """
        optimizer = self.joint.optimizer
        rates = [v for v in optimizer.variables if v.path.endswith("learning_rate")]
        if not rates:
            raise ValueError(
                "`learning_rates` needs an optimizer whose learning rate is a "
                "number; it has a schedule."
            )
        return rates

    def reported(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """Return losses and metrics as numbers, without the objective's summands.

        Args:
            logs: entries by name; vector metrics (one number a class) become means.
        """
        settings = self.joint.compiled_settings
        names = {"loss", *(f"{name}_loss" for name in settings.losses)}
        names |= {one.metric.name for one in settings.metrics}
        return {n: float(np.mean(v)) for n, v in logs.items() if n in names}

    def assign(self, values: list[list[Any]]) -> None:
        """Set the model's variables."""
        for group, row in zip(self.groups, values, strict=True):
            for variable, value in zip(group, row, strict=True):
                variable.assign(value)
