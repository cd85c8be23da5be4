"""`Recorded`: a member whose output is its input, predictions made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from coloss.data.probabilities import improbable
from coloss.names import nearest
from coloss.typing import Shape, Tensor

PROBABILITIES, LOGITS, VALUES = "probabilities", "logits", "values"
KINDS = (PROBABILITIES, LOGITS, VALUES)


@keras.saving.register_keras_serializable(package="coloss")
class Recorded(keras.Model):
    """A member whose output is its input: recorded predictions of anything.

    Of a random forest, a service, last year's model, a person. It is never trained, has
    no loss unless `compile` is given one for it by name, and is missing where its row
    is NaN. Transfer terms read it like a network.

    Args:
        kind: what is recorded: "probabilities" (one column a class, or one column with
            the probability of the second of two classes), "logits", or "values" (of a
            regression).
        name: the model's name.

    Raises:
        ValueError: for another kind.

    Examples:
        >>> import keras, coloss
        >>> main = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(3, "softmax")]
        ... )
        >>> joint = coloss.JointModel({"main": main, "expert": coloss.Recorded()})
        >>> joint.compile(
        ...     "adam",
        ...     loss="sparse_categorical_crossentropy",
        ...     objective="main + distill(expert >> main)",
        ... )
    """

    def __init__(
        self, kind: str = PROBABILITIES, name: str | None = None, **kwargs: Any
    ) -> None:
        """Check the kind; the shape is seen with the data."""
        if kind not in KINDS:
            raise ValueError(
                f'`kind` of Recorded must be "probabilities", "logits" or "values"; '
                f"found {kind!r}{nearest(kind, KINDS)}"
            )
        # Predictions keep the precision that they were recorded in.
        super().__init__(name=name, autocast=False, **kwargs)
        self.kind = kind
        self.trainable = False

    def build(self, input_shape: Shape) -> None:
        """Make nothing; Keras keeps the shape."""
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return what was recorded.

        Args:
            inputs: (batch, ...).
        """
        return keras.ops.convert_to_tensor(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the kind and the name."""
        return {"kind": self.kind, "name": self.name}

    def check(self, what: str, values: np.ndarray) -> None:
        """Refuse rows that are no probabilities where these are recorded.

        Args:
            what: what they are, for messages.
            values: (rows, ...); rows of NaN are missing.

        Raises:
            ValueError: naming the first wrong row.
        """
        if self.kind != PROBABILITIES or values.dtype.kind != "f" or not values.size:
            return
        found = improbable(values)
        if found is not None:
            row, shown = found
            raise ValueError(
                f"{what}: row {row} holds no probabilities ({shown}). If "
                'these are logits or values, say so: Recorded(kind="logits").'
            )


def kind_of(member: object) -> str | None:
    """Return what a member has recorded; None: it is a network."""
    return member.kind if isinstance(member, Recorded) else None


def networks(members: Mapping[str, keras.Model]) -> list[str]:
    """Return the names of members that are no recorded predictions."""
    return [name for name, one in members.items() if kind_of(one) is None]
