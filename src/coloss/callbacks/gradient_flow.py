"""Who teaches whom, how strongly, and whether it is to the learner's good."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from coloss.callbacks.edges import EdgeFlow, EdgeMeter
from coloss.checking import COUNT
from coloss.joint.alone import alone
from coloss.joint.keras_internals import sync_variables
from coloss.names import unknown
from coloss.objective import ObjectiveWarning

if TYPE_CHECKING:
    import pandas as pd


class GradientFlow(keras.callbacks.Callback):
    """Measures every edge of the objective while training, and warns of harm.

    For each edge, on one batch and in inference mode: the norm of its term's gradient
    at the learner, and the cosine between that and the gradient of the learner's own
    loss. They enter the history as `flow/<term>/<learner>` and
    `cosine/<term>/<learner>`, in the epochs in which they are measured. A cosine below
    0 means that a step along the term makes the learner's own loss worse. That is not
    always bad: it may keep a network from learning its few labels by heart. What
    counts is what the learner reaches; so give a `baseline` if you have one.

    Training is not changed by it, to the last bit.

    Args:
        every: epochs from one measurement to the next; the first epoch is measured.
        data: the batch `(x, y)` or `(x, y, sample_weight)` on which to measure; None:
            256 rows from all over the training arrays, or the first batch of a
            `PyDataset` or `tf.data.Dataset`.
        warn_after: measurements in a row after which an edge that opposes the
            learner's own loss, or a learner that lags behind its baseline, is told
            once (`ObjectiveWarning`). None: no warning.
        baseline: what a learner reaches alone, by member: a number, compared at the
            end of training, or one number an epoch, compared epoch by epoch. In terms
            of its first metric (or its loss), on validation rows where there are any.

    Attributes:
        flows: every measurement, in order.

    Raises:
        TypeError, ValueError: for arguments that cannot be used.

    Reference:
        Du et al. 2018, "Adapting Auxiliary Losses Using Gradient Similarity",
        arXiv:1812.02224 (the cosine); Wang et al. 2019, "Characterizing and Avoiding
        Negative Transfer", arXiv:1811.09751.
    """

    def __init__(
        self,
        every: int = 1,
        data: tuple[Any, ...] | None = None,
        warn_after: int | None = 5,
        baseline: Mapping[str, float | Sequence[float]] | None = None,
    ) -> None:
        """Check the arguments; the model comes with `fit`."""
        super().__init__()
        self.every = COUNT.integer("`every`", every)
        self.warn_after = (
            None if warn_after is None else COUNT.integer("`warn_after`", warn_after)
        )
        self.baseline: dict[str, Any] = {
            name: [float(v) for v in np.ravel(given)] if np.ndim(given) else given
            for name, given in (baseline or {}).items()
        }
        if data is not None and (
            not isinstance(data, tuple) or len(data) not in (2, 3)
        ):
            raise TypeError(
                "`data` must be a batch (x, y) or (x, y, sample_weight); found "
                f"{type(data).__name__}."
            )
        self._given = data
        self._batch: tuple[Any, Any, Any] | None = None
        self.flows: list[EdgeFlow] = []

    # --- before training ---------------------------------------------------------

    def take_batch(self, batch: tuple[Any, ...] | None) -> None:
        """Take a batch of what is trained on; `JointModel.fit` calls this.

        Args:
            batch: (x, y, sample_weight); None: it could not be had.

        Raises:
            ValueError: if there is none, and no `data` was given.
        """
        chosen = batch if self._given is None else self._given
        if chosen is None:
            raise ValueError(
                "GradientFlow cannot look into this kind of training data without "
                "taking a batch from it. Give it one: GradientFlow(data=(x, y))."
            )
        self._batch = (*chosen, *[None] * (3 - len(chosen)))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Find the edges, and check the baselines.

        Raises:
            TypeError: if the model is no `JointModel`.
            ValueError: for a baseline of an unknown member.
        """
        model = self.model
        if not hasattr(model, "members"):
            raise TypeError(
                "GradientFlow watches a coloss.JointModel; found "
                f"{type(model).__name__}."
            )
        for name in self.baseline:
            if name not in model:
                raise ValueError(f"`baseline`: {unknown('member', name, model)}.")
        if self._batch is None:
            self.take_batch(None)
        self._meter = EdgeMeter(model)
        self._opposed: dict[tuple[str, str], int] = {}
        self._told: set[tuple[str, str]] = set()
        self._behind: dict[str, int] = {}
        self._last: dict[str, tuple[str, float]] = {}
        self.flows = []

    # --- for a training that is resumed ----------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return what was measured and told so far."""
        return {
            "flows": self.table,
            "opposed": self._opposed,
            "told": self._told,
            "behind": self._behind,
            "last": self._last,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Set what `get_state` returned."""
        self.flows = [EdgeFlow(**flow) for flow in state["flows"]]
        self._opposed, self._told = state["opposed"], state["told"]
        self._behind, self._last = state["behind"], state["last"]

    # --- while training ----------------------------------------------------------

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure every edge, where it is this epoch's turn."""
        logs = {} if logs is None else logs
        self._note_metrics(epoch, logs)
        if epoch % self.every:
            return
        sync_variables(self.model)
        assert self._batch is not None
        with alone(self.model):  # Of several processes, only one may watch.
            measured = list(self._meter.measure(epoch, self._batch))
        for flow in measured:
            self.flows.append(flow)
            logs[f"flow/{flow.term}/{flow.learner}"] = flow.norm
            logs[f"cosine/{flow.term}/{flow.learner}"] = flow.cosine
            self._watch(flow)

    def _watch(self, flow: EdgeFlow) -> None:
        """Warn once when an edge has opposed its learner for long."""
        key = (flow.term, flow.learner)
        count = self._opposed.get(key, 0) + 1 if flow.cosine < 0 else 0
        self._opposed[key] = count
        if count == self.warn_after and key not in self._told:
            self._told.add(key)
            _warn(
                f"`{flow.term}` has opposed the own loss of {flow.learner!r} in "
                f"{count} measurements in a row (cosine {flow.cosine:.2f} in epoch "
                f"{flow.epoch + 1}): {flow.sources} may teach it something wrong. "
                'Lower its weight, end it with stop=..., or let gate="row" choose '
                "the rows; whether it harms, a run without it tells."
            )

    def _note_metrics(self, epoch: int, logs: Mapping[str, Any]) -> None:
        for member, expected in self.baseline.items():
            entry = self._entry(member, logs)
            if entry is None:
                continue
            value = float(logs[entry])
            self._last[member] = (entry, value)
            if not isinstance(expected, list) or epoch >= len(expected):
                continue
            below = self._is_below(entry, value, float(expected[epoch]))
            self._behind[member] = self._behind.get(member, 0) + 1 if below else 0
            if self._behind[member] == self.warn_after:
                self._tell_behind(member, entry, value, float(expected[epoch]), epoch)

    def _entry(self, member: str, logs: Mapping[str, Any]) -> str | None:
        """Return the history's entry that a baseline speaks of."""
        metrics = self.model.compiled_settings.metrics
        own = [one.metric.name for one in metrics if one.member == member]
        name = own[0] if own else f"{member}_loss"
        return next((e for e in (f"val_{name}", name) if e in logs), None)

    def _is_below(self, entry: str, value: float, expected: float) -> bool:
        way = self.model.compiled_settings.direction(entry.removeprefix("val_"))
        return value > expected if way == "min" else value < expected

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Compare each learner with what it reaches alone."""
        if self.warn_after is None:
            return
        for member, (entry, value) in self._last.items():
            expected = self.baseline[member]
            if isinstance(expected, list):
                continue
            if self._is_below(entry, value, float(expected)):
                self._tell_behind(member, entry, value, float(expected), None)

    def _tell_behind(
        self, member: str, entry: str, value: float, expected: float, epoch: int | None
    ) -> None:
        when = "at the end" if epoch is None else f"in epoch {epoch + 1}"
        _warn(
            f"{member!r} is worse off than alone (negative transfer): {entry} is "
            f"{value:.4g} {when}, alone {expected:.4g}. Lower the weights of what "
            "teaches it, or gate them; one run is no evidence, coloss.Study asks many."
        )

    # --- afterwards --------------------------------------------------------------

    @property
    def table(self) -> list[dict[str, Any]]:
        """One dict a measurement, with the attributes of `EdgeFlow`."""
        return [dataclasses.asdict(flow) for flow in self.flows]

    @property
    def frame(self) -> pd.DataFrame:
        """The table as a pandas frame (needs pandas)."""
        import pandas as pd

        return pd.DataFrame(self.table)


def _warn(message: str) -> None:
    warnings.warn(message, ObjectiveWarning, stacklevel=3)
