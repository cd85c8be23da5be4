"""A member that is trained to fail is watched: beyond chance, its loss has no end."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras

from coloss.joint.base import JointBase
from coloss.joint.supervision.member_loss import BINARY, CLASSES
from coloss.objective import ObjectiveWarning

TIMES = 2.0
"""How often what chance gives a loss may be, before it is told."""


def chance_loss(model: JointBase, name: str) -> float | None:
    """Return the loss of a member that knows nothing, and says so.

    Args:
        model: compiled.
        name: of the member.

    Returns:
        The logarithm of the number of classes; None where the loss has no classes, or
        their number is not known.
    """
    loss = model.compiled_settings.losses.get(name)
    if loss is None or loss.kind not in CLASSES:
        return None
    if loss.kind == BINARY:
        return math.log(2)
    shape = getattr(model.members[name], "output_shape", None)
    axis = -1 if loss.axis is None else loss.axis
    classes = shape[axis] if isinstance(shape, tuple) else None
    return math.log(classes) if classes is not None and classes > 1 else None


class AscentWatch(keras.callbacks.Callback):
    """Tells once of each member that is trained to fail when it fails too well.

    A network that forgets comes to what chance gives. One that goes on is surer and
    surer of what is wrong: its loss grows for good, and what it teaches is that.
    """

    def __init__(self) -> None:
        """Have told of nobody."""
        super().__init__()
        self._told: list[str] = []

    def get_state(self) -> dict[str, Any]:
        """Return of whom was told."""
        return {"told": self._told}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set what `get_state` returned."""
        self._told = list(state["told"])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the losses of these members."""
        for name in self.model.compiled_settings.ascended:
            value = (logs or {}).get(f"{name}_loss")
            chance = chance_loss(self.model, name)
            if name in self._told or chance is None or value is None:
                continue
            if float(value) > TIMES * chance:
                self._told.append(name)
                warnings.warn(
                    f"epoch {epoch + 1}: the loss of {name!r}, which the objective "
                    f"trains to fail, is {float(value):.3g}; chance gives "
                    f"{chance:.3g}. It does not forget, it grows without end: bound "
                    f"its term, as by exp(-{name}), or give it a schedule that ends "
                    "at 0.",
                    ObjectiveWarning,
                    stacklevel=2,
                )
