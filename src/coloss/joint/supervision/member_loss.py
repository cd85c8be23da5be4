"""A member's supervised loss, row by row, whatever way Keras spells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from keras import losses, ops

from coloss.joint.members import check_names
from coloss.joint.supervision.ranks import same_rank, uncrossed
from coloss.names import nearest
from coloss.typing import LossFunction, Tensor

LossOf: TypeAlias = str | losses.Loss | type[losses.Loss] | LossFunction
"""One loss: its name, an instance, a class, or a function of (y_true, y_pred)."""

LossSpec: TypeAlias = LossOf | Mapping[str, LossOf | None] | None
"""What `compile(loss=)` takes: one loss for all members, or by member."""

SPARSE, BINARY, DENSE = "sparse", "binary", "dense"
REGRESSION, MARGIN, CUSTOM = "regression", "margin", "custom"
CLASSES = (SPARSE, BINARY, DENSE)

_KINDS: dict[str, tuple[str, ...]] = {
    SPARSE: ("SparseCategoricalCrossentropy",),
    BINARY: ("BinaryCrossentropy", "BinaryFocalCrossentropy"),
    DENSE: ("CategoricalCrossentropy", "CategoricalFocalCrossentropy"),
    REGRESSION: (
        "MeanSquaredError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredLogarithmicError",
        "LogCosh",
        "Huber",
        "Poisson",
        "CosineSimilarity",
    ),
    MARGIN: ("Hinge", "SquaredHinge", "CategoricalHinge"),
}
_KIND_OF_CLASS = {
    getattr(losses, name): kind for kind, names in _KINDS.items() for name in names
}

_SIGNED = (losses.CosineSimilarity, losses.Poisson)
"""Losses of Keras that can be negative."""


@dataclass(frozen=True)
class MemberLoss:
    """One member's loss.

    Attributes:
        name: the member.
        rows: function of (labels, outputs) to values (batch, ...).
        kind: what its labels and outputs are: one of the constants above.
        from_logits: whether outputs are logits; None where the loss does not say.
        axis: of the outputs that the loss consumes: the classes, or the values.
        ignore_class: label that counts nowhere, as in
            `keras.losses.SparseCategoricalCrossentropy`; None: no such label.
        lowest: the least value it can take; of a user's own, taken to be 0.
    """

    name: str
    rows: Callable[[Tensor, Tensor], Tensor]
    kind: str
    from_logits: bool | None
    axis: int = -1
    ignore_class: int | None = None
    lowest: float = 0.0

    def __call__(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Return the loss of each position, in float32.

        Args:
            labels: (batch, ...), every value defined.
            outputs: (batch, ...), every value defined.

        Returns:
            (batch, ...) without the axis that the loss consumes.

        Raises:
            ValueError: if the loss returns one number for the batch.
        """
        if self.kind not in (SPARSE, CUSTOM) and len(outputs.shape) == 1:
            # One value a row, which Keras's own losses would average over the batch.
            outputs = ops.expand_dims(outputs, -1)
        values = ops.convert_to_tensor(self.rows(labels, outputs))
        if len(values.shape) == 0:
            raise ValueError(
                f"the loss of {self.name!r} returns one number for the whole batch; "
                "expected one value a row, so that rows can be weighted and left out."
            )
        return ops.cast(values, "float32")


def resolve_losses(loss: LossSpec, names: tuple[str, ...]) -> dict[str, MemberLoss]:
    """Return each member's loss.

    Args:
        loss: one loss for all members (string, `keras.losses.Loss`, function), or
            a dict by member; members it leaves out have none.
        names: the members.

    Raises:
        ValueError: for an unknown name or loss, or a reduction that hides rows.
        TypeError: if a loss is none of these.
    """
    if loss is None:
        return {}
    if isinstance(loss, Mapping):
        check_names(loss, names, "`loss`")
        given = {name: loss[name] for name in names if loss.get(name) is not None}
    else:
        given = dict.fromkeys(names, loss)
    return {name: _resolve(name, spec) for name, spec in given.items()}


def _resolve(name: str, spec: LossOf) -> MemberLoss:
    if isinstance(spec, str):
        spec = _class_of(name, spec)()
    if isinstance(spec, losses.Loss):
        return _of_instance(name, spec)
    if isinstance(spec, type) and issubclass(spec, losses.Loss):
        return _of_instance(name, spec())
    if not callable(spec):
        raise TypeError(
            f"the loss of {name!r} must be a string, a keras.losses.Loss or a "
            f"function of (y_true, y_pred); found {spec!r}."
        )
    wrapped = _class_of_function(spec)
    if wrapped is not None:
        return _of_instance(name, wrapped())
    return _of_instance(name, _FunctionLoss(spec))


def _class_of(name: str, identifier: str) -> Callable[[], losses.Loss]:
    try:
        found = losses.get(identifier)
    except ValueError:
        raise ValueError(
            f"the loss of {name!r}: Keras has no {identifier!r}{_meant(identifier)}"
        ) from None
    if isinstance(found, losses.Loss):
        return lambda: found
    if isinstance(found, type):
        return found
    wrapped = _class_of_function(found)
    if wrapped is None:
        return lambda: _FunctionLoss(found)
    return wrapped


def _meant(identifier: str) -> str:
    """Return the end of the sentence that refuses a loss's name: what was meant."""
    text = identifier.lower()
    if "cross" in text or text in ("ce", "nll", "nll_loss", "logloss", "log_loss"):
        return (
            ". Say which: 'sparse_categorical_crossentropy' for integer classes, "
            "'categorical_crossentropy' for one-hot labels, 'binary_crossentropy' for "
            "yes or no."
        )
    valid = [known for known in dir(losses) if known[0].isalpha()]
    return nearest(identifier, valid) or ". Give its name, a keras.losses.Loss, or " + (
        "a function of (y_true, y_pred)."
    )


def _class_of_function(function: LossFunction) -> type[losses.Loss] | None:
    """Return the class that Keras wraps around one of its own loss functions."""
    for cls in _KIND_OF_CLASS:
        if getattr(cls(), "fn", None) is function:
            return cls
    return None


class _FunctionLoss(losses.Loss):
    """A function as a loss, given what Keras would give it."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__(name=getattr(function, "__name__", "loss"))
        self.fn = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.fn(*same_rank(y_true, y_pred))


def _of_instance(name: str, loss: losses.Loss) -> MemberLoss:
    if loss.reduction not in ("sum_over_batch_size", "mean", None, "none"):
        raise ValueError(
            f"the loss of {name!r} has reduction={loss.reduction!r}; expected "
            "'sum_over_batch_size' (the default): rows are weighted, left out where "
            "unlabeled, and averaged by the joint model."
        )
    kind = next(
        (kind for cls, kind in _KIND_OF_CLASS.items() if isinstance(loss, cls)), CUSTOM
    )
    from_logits = _option_of(loss, "from_logits")
    if from_logits is None and kind in CLASSES:
        from_logits = False
    axis = _option_of(loss, "axis") if kind != CUSTOM else None
    axis = -1 if axis is None else int(axis)
    ignored = _option_of(loss, "ignore_class") if kind == SPARSE else None
    rows = _as_keras_calls(loss, kind)
    if kind == SPARSE and axis != -1:
        rows = _classes_last(loss, axis)
    lowest = float("-inf") if isinstance(loss, _SIGNED) else 0.0
    return MemberLoss(name, rows, kind, from_logits, axis, ignored, lowest)


def _as_keras_calls(loss: losses.Loss, kind: str) -> Callable[..., Tensor]:
    """Return `loss.call` behind the casts of `Loss.__call__`, without its mean.

    Labels of every type reach a loss as floats: of unsigned integers `2*y - 1` would
    wrap, and an integer beside a float is an error on some backends.
    """
    call = uncrossed(loss.call) if kind == CUSTOM else loss.call

    def rows(labels: Tensor, outputs: Tensor) -> Tensor:
        return call(ops.cast(labels, loss.dtype), ops.cast(outputs, loss.dtype))

    return rows


def _classes_last(loss: losses.Loss, axis: int) -> Callable[..., Tensor]:
    """Return a sparse loss whose classes are moved to the last axis.

    With `axis=` Keras's own is refused on JAX, which compares the labels' shape with
    the first axes of the outputs.
    """
    config = {key: value for key, value in loss.get_config().items() if key != "axis"}
    call = _as_keras_calls(type(loss).from_config(config), SPARSE)
    return lambda labels, outputs: call(labels, ops.moveaxis(outputs, axis, -1))


def _option_of(loss: losses.Loss, key: str) -> Any:
    """Return what a loss of Keras was told; None where it does not know the word."""
    found = getattr(loss, key, None)
    return getattr(loss, "_fn_kwargs", {}).get(key) if found is None else found
