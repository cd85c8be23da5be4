"""A joint loss for a model whose outputs are concatenated into one.

For people who have such a model already. It is the same objective as that of a
`JointModel`; layers, missing modalities and members of different kinds need the
`JointModel` itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from coloss.joint.autodiff.replica_loss import replica_scaled
from coloss.joint.auxiliary import AuxiliaryLayers
from coloss.joint.explain.on_batch import CLIPPED, report_ascent
from coloss.joint.members import check_names
from coloss.joint.outputs.forward import Forward
from coloss.joint.supervision.labels import read_labels
from coloss.joint.supervision.member_loss import MemberLoss, resolve_losses
from coloss.joint.values.batch_values import BatchValues
from coloss.objective import Expression, Objective, reach
from coloss.objective.rows import evaluate
from coloss.typing import Tensor
from coloss.weighting.schedules import value_at

Classes = int | Mapping[str, int]


def concatenated(
    names: Sequence[str],
    num_classes: Classes,
    objective: str | Expression | Objective,
    coefficients: Mapping[str, float] | None = None,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    on_ascent: str = "warn",
) -> Concatenated:
    """Return a joint loss over slices of one concatenated output.

    Args:
        names: the networks, in the order in which outputs and one-hot targets are
            concatenated along the last axis.
        num_classes: width of each slice: one number, or by name.
        objective: the joint loss over the slices' cross-entropies.
        coefficients: a number for each coefficient in the objective.
        from_logits: whether outputs are logits; else probabilities.
        label_smoothing: as in `keras.losses.CategoricalCrossentropy`.
        on_ascent: "warn", "raise" or "allow", as in `JointModel.compile`.

    Returns:
        A `keras.losses.Loss` of `y_true` and `y_pred`, both (batch, sum of classes).
        A slice of NaN in `y_true` is unlabeled.

    Raises:
        ObjectiveError: if the objective names what does not exist.
        ValueError: if the objective taps layers, which a loss cannot see.

    Examples:
        >>> import coloss
        >>> loss = coloss.losses.concatenated(["a", "b"], 3, "a + w*b", {"w": 0.5})
        >>> [metric.name for metric in loss.metrics()]
        ['a_accuracy', 'b_accuracy']
    """
    return Concatenated(
        names,
        num_classes,
        objective,
        coefficients,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        on_ascent=on_ascent,
    )


@keras.saving.register_keras_serializable(package="coloss")
class Concatenated(keras.losses.Loss):
    """The loss that `concatenated` returns; see there."""

    def __init__(
        self,
        names: Sequence[str],
        num_classes: Classes,
        objective: str | Expression | Objective,
        coefficients: Mapping[str, float] | None = None,
        *,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        on_ascent: str = "warn",
        name: str = "concatenated",
    ) -> None:
        """Bind the objective to the slices."""
        super().__init__(name=name)
        self.names = tuple(names)
        self.widths = _widths(self.names, num_classes)
        given = dict(coefficients or {})
        self.coefficients = {k: value_at(v, 0, k) for k, v in given.items()}
        self.objective = Objective(objective).bind(self.names, self.coefficients)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing
        layers = [p for p in reach.ports(self.objective.expression) if p.path]
        if layers:
            raise ValueError(
                f"`{layers[0]}` is a layer; a loss sees outputs only. Use a JointModel."
            )
        crossentropy = keras.losses.CategoricalCrossentropy(
            from_logits=from_logits, label_smoothing=label_smoothing
        )
        self._losses: dict[str, MemberLoss] = resolve_losses(crossentropy, self.names)
        bounds = {} if from_logits else dict.fromkeys(self.names, CLIPPED)
        found = self.objective.explain(
            members=self.names, coefficients=self.coefficients, bounds=bounds
        )
        report_ascent(found, self.objective, on_ascent)

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> Tensor:
        """Return the objective on one batch.

        Args:
            y_true: (batch, sum of classes), one-hot slices.
            y_pred: (batch, sum of classes).
            sample_weight: (batch,), for every slice; or None.
        """
        forward = Forward(outputs=_slices(y_pred, self.widths, "y_pred"))
        weights = {}
        if sample_weight is not None:
            weights = dict.fromkeys(self.names, sample_weight)
        batch = BatchValues(
            forward,
            {},
            self._losses,
            _slices(y_true, self.widths, "y_true"),
            weights,
            self.coefficients,
            AuxiliaryLayers(),
        )
        return replica_scaled(evaluate(self.objective.expression, batch).value())

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the objective on one batch, without sample weights."""
        return self(y_true, y_pred)

    def metrics(self) -> list[SliceAccuracy]:
        """Return the accuracy of each slice, for `compile(metrics=...)`."""
        return [SliceAccuracy(name, self.widths) for name in self.names]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, ready for JSON."""
        return {
            "names": list(self.names),
            "num_classes": dict(self.widths),
            "objective": str(self.objective),
            "coefficients": dict(self.coefficients),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "on_ascent": "allow",  # Its author was told when it was made.
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="coloss")
class SliceAccuracy(keras.metrics.Mean):
    """Accuracy of one network of a concatenated output, on its labeled rows.

    Args:
        member: the network.
        widths: classes of every network, in the order of concatenation.
    """

    def __init__(
        self, member: str, widths: Mapping[str, int], name: str | None = None
    ) -> None:
        """Name the metric after its network."""
        super().__init__(name=name or f"{member}_accuracy")
        check_names([member], tuple(widths), "`member`")
        self.member, self.widths = member, dict(widths)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> None:
        """Take in one batch: `y_true` and `y_pred` (batch, sum of classes)."""
        loss = MemberLoss(self.member, ops.equal, "dense", False)
        target = _slices(y_true, self.widths, "y_true")[self.member]
        output = _slices(y_pred, self.widths, "y_pred")[self.member]
        labels = read_labels(target, loss, tuple(output.shape))
        right = ops.equal(ops.argmax(labels.values, -1), ops.argmax(output, -1))
        weight = ops.cast(labels.known, "float32")
        if sample_weight is not None:
            weight = weight * ops.cast(sample_weight, "float32")
        super().update_state(ops.cast(right, "float32"), sample_weight=weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, ready for JSON."""
        return {"member": self.member, "widths": self.widths, "name": self.name}


def _widths(names: tuple[str, ...], num_classes: Classes) -> dict[str, int]:
    if isinstance(num_classes, Mapping):
        check_names(num_classes, names, "`num_classes`", complete=True)
        return {name: int(num_classes[name]) for name in names}
    return dict.fromkeys(names, int(num_classes))


def _slices(values: Tensor, widths: Mapping[str, int], what: str) -> dict[str, Tensor]:
    values = ops.convert_to_tensor(values)
    total = sum(widths.values())
    if len(values.shape) != 2 or values.shape[-1] not in (None, total):
        raise ValueError(
            f"`{what}` has shape {tuple(values.shape)}; expected (batch, {total}): "
            + " + ".join(f"{name} {width}" for name, width in widths.items())
        )
    found, start = {}, 0
    for name, width in widths.items():
        found[name] = values[:, start : start + width]
        start += width
    return found
