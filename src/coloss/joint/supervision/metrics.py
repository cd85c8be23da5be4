"""Every member's own metrics, on the rows where its labels and inputs are known."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeGuard

from keras import metrics, ops

from coloss.joint.members import check_names
from coloss.joint.supervision.labels import Labels
from coloss.joint.supervision.member_loss import (
    BINARY,
    CLASSES,
    DENSE,
    SPARSE,
    MemberLoss,
)
from coloss.joint.supervision.positions import Positions
from coloss.joint.supervision.ranks import uncrossed
from coloss.joint.supervision.row_losses import safe_outputs
from coloss.joint.supervision.skill import R2
from coloss.typing import LossFunction, Tensor

MetricOf: TypeAlias = str | metrics.Metric | LossFunction
"""One metric: its name, an instance, or a function of (y_true, y_pred)."""

Metrics: TypeAlias = MetricOf | Sequence[MetricOf] | None
"""The metrics of one member."""

MetricSpec: TypeAlias = Metrics | Mapping[str, Metrics]
"""What `compile(metrics=)` takes: a list for all members, or by member."""

_ACCURACY = ("accuracy", "acc")
_CROSSENTROPY = ("crossentropy", "ce")
_OF_NUMBERS = ("r2", "rmse")


class MemberMetric:
    """One Keras metric of one member.

    Args:
        member: the member's name.
        metric: the metric, owned by this object alone.
        weighted: whether sample weights count.
        axis: of the classes, where the metric looks for them on the last axis.
    """

    def __init__(
        self, member: str, metric: metrics.Metric, *, weighted: bool, axis: int = -1
    ) -> None:
        """Rename the metric after its member, and check that it can be masked."""
        self.member, self.metric, self.weighted = member, metric, weighted
        self.axis = axis
        if "sample_weight" not in inspect.signature(metric.update_state).parameters:
            raise ValueError(
                f"metric {metric.name!r} of {member!r} has no `sample_weight` argument "
                "in `update_state`, and could not leave out unlabeled rows."
            )
        metric.name = f"{member}_{metric.name}"
        made = getattr(metric, "_fn", type(metric))
        self._is_own = not getattr(made, "__module__", "").startswith("keras.")

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the state of a metric that takes its size from the outputs.

        `F1Score`, `R2Score` and some others make variables at their first update,
        which is too late inside a compiled step.

        Args:
            shape: of the member's outputs, with the batch.
        """
        if getattr(self.metric, "_built", True) or None in shape[1:]:
            return
        empty = ops.zeros((1, *shape[1:]))
        self.metric.update_state(empty, empty)
        self.metric.reset_state()

    def update(
        self, loss: MemberLoss, labels: Labels, outputs: Tensor, positions: Positions
    ) -> None:
        """Take in one batch.

        Args:
            loss: the member's loss, which says what labels are.
            labels: the member's labels.
            outputs: its predictions (batch, ...).
            positions: which of them count, and their weights.
        """
        outputs = ops.cast(ops.stop_gradient(outputs), "float32")
        outputs = safe_outputs(loss, outputs, positions)
        # Keras's metrics have one value a position if labels and outputs have one
        # rank; a user's own metric is given the labels as the user gave them.
        given = labels.given if self._is_own else labels.values
        if self.axis not in (-1, len(outputs.shape) - 1):
            outputs = ops.moveaxis(outputs, self.axis, -1)
            if len(given.shape) == len(outputs.shape):
                given = ops.moveaxis(given, self.axis, -1)
        weight = positions.for_metric(self.weighted)
        self.metric.update_state(given, outputs, sample_weight=weight)


def resolve_metrics(
    given: MetricSpec,
    names: tuple[str, ...],
    losses: dict[str, MemberLoss],
    weighted: bool,
) -> list[MemberMetric]:
    """Return the metrics of all members.

    Args:
        given: None, a list for every member, or a dict by member. Entries are
            strings, functions or `keras.metrics.Metric` instances, which are
            copied for each member.
        names: the members, and `fused` where there is one.
        losses: the members' losses: they say what "accuracy" means.
        weighted: whether sample weights count.

    Raises:
        ValueError: for an unknown member or metric, or for "accuracy" of a member
            whose loss is no classification.
    """
    if given is None:
        return []
    if isinstance(given, Mapping):
        check_names(given, names, "`weighted_metrics`" if weighted else "`metrics`")
        by_member = {name: _listed(given[name]) for name in names if name in given}
    else:
        by_member = {name: _listed(given) for name in names if name in losses}
    found = []
    for name, specs in by_member.items():
        for spec in specs:
            loss = losses.get(name)
            metric = _resolve(name, spec, loss)
            # A metric asked for by name reads the classes where the loss does.
            by_loss = loss is not None and _is_by_loss(spec)
            axis = loss.axis if loss is not None and by_loss else -1
            found.append(MemberMetric(name, metric, weighted=weighted, axis=axis))
    return found


def _listed(spec: Metrics) -> list[MetricOf]:
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        return list(spec)
    return [] if spec is None else [spec]


def _is_by_loss(spec: MetricOf) -> TypeGuard[str]:
    """Whether a metric is a word whose meaning the loss decides."""
    return isinstance(spec, str) and spec.lower() in (*_ACCURACY, *_CROSSENTROPY)


def _resolve(name: str, spec: MetricOf, loss: MemberLoss | None) -> metrics.Metric:
    if _is_by_loss(spec) and spec.lower() in _ACCURACY:
        return _by_kind(name, spec, loss, _accuracy)
    if _is_by_loss(spec):
        return _by_kind(name, spec, loss, _crossentropy)
    if isinstance(spec, metrics.Metric):
        return _copied(name, spec)
    if isinstance(spec, str) and spec in _OF_NUMBERS:
        return _of_numbers(name, spec, loss)
    try:
        found = metrics.get(spec)
    except ValueError as error:
        raise ValueError(f"metric of {name!r}: {error}") from None
    if isinstance(found, type):
        found = found()
    if not isinstance(found, metrics.Metric):
        label = getattr(found, "__name__", "metric")
        found = metrics.MeanMetricWrapper(fn=uncrossed(found), name=label)
    if isinstance(spec, str):
        found.name = spec  # "mae" stays "mae", as in plain Keras.
    return found


def _copied(name: str, metric: metrics.Metric) -> metrics.Metric:
    """Return a metric of the same settings that has a state of its own.

    Raises:
        ValueError: if its `get_config` leaves out an argument of its class: the copy
            would have the default in its place.
    """
    kind, config = type(metric), metric.get_config()
    left_out = [
        parameter.name
        for parameter in inspect.signature(kind.__init__).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name not in ("self", "name", "dtype", *config)
    ]
    if left_out and not kind.__module__.startswith("keras."):
        raise ValueError(
            f"metric {metric.name!r} of {name!r} cannot be copied for its member: "
            f"{kind.__name__}.get_config() leaves out {', '.join(left_out)}. Add it "
            'there, as `return {**super().get_config(), "'
            f'{left_out[0]}": self.{left_out[0]}}}`, or give a function of '
            "(y_true, y_pred)."
        )
    return kind.from_config(config)


def _by_kind(
    name: str,
    spec: str,
    loss: MemberLoss | None,
    build: Callable[[MemberLoss, str], metrics.Metric],
) -> metrics.Metric:
    if loss is None or loss.kind not in (SPARSE, DENSE, BINARY):
        what = "has no loss" if loss is None else f"has a {loss.kind} loss"
        raise ValueError(
            f"metric {spec!r} cannot be computed for {name!r}, which {what}. Give "
            f'metrics by member, such as metrics={{"{name}": ["mae"]}}.'
        )
    return build(loss, spec)


def _of_numbers(name: str, spec: str, loss: MemberLoss | None) -> metrics.Metric:
    if loss is not None and loss.kind in CLASSES:
        raise ValueError(
            f"metric {spec!r} is for numbers, and {name!r} predicts classes. Give "
            f'metrics by member, such as metrics={{"{name}": ["accuracy"]}}.'
        )
    return R2(name=spec) if spec == "r2" else metrics.RootMeanSquaredError(name=spec)


def _accuracy(loss: MemberLoss, name: str) -> metrics.Metric:
    if loss.kind == SPARSE:
        return metrics.SparseCategoricalAccuracy(name=name)
    if loss.kind == DENSE:
        return metrics.CategoricalAccuracy(name=name)
    # 0 on logits is 0.5 on probabilities.
    return metrics.BinaryAccuracy(name=name, threshold=0.0 if loss.from_logits else 0.5)


def _crossentropy(loss: MemberLoss, name: str) -> metrics.Metric:
    cls = {
        SPARSE: metrics.SparseCategoricalCrossentropy,
        DENSE: metrics.CategoricalCrossentropy,
        BINARY: metrics.BinaryCrossentropy,
    }[loss.kind]
    return cls(name=name, from_logits=bool(loss.from_logits))


def distinct(found: list[MemberMetric]) -> list[MemberMetric]:
    """Rename metrics of the same name as Keras does: weighted ones, then by number."""
    seen: dict[str, int] = {}
    for one in found:
        name = one.metric.name
        if one.weighted and name in seen:
            own = name.removeprefix(f"{one.member}_")
            name = one.metric.name = f"{one.member}_weighted_{own}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            one.metric.name = f"{name}_{seen[name] - 1}"
    return found
