"""Why a `fit` takes its steps one by one, where several at once were asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from coloss.joint.epochs.callbacks import needs_every_step
from coloss.joint.epochs.turns import BlocksBase
from coloss.joint.inputs.arrays import is_array_data
from coloss.typing import Callbacks

LOG = logging.getLogger("coloss")


def may_take_many(
    model: BlocksBase,
    arguments: dict[str, Any],
    reason_of: Callable[[BlocksBase, dict[str, Any]], str | None],
) -> bool:
    """Return whether a `fit` may take several steps at once; say once why it may not.

    Args:
        model: the joint model.
        arguments: of `keras.Model.fit`, checked and by member.
        reason_of: what speaks against it on this backend, for arrays; None: nothing.
    """
    if not model.takes_blocks or not is_array_data(arguments["x"]):
        return False
    reason = reason_of(model, arguments)
    if reason is not None:
        _tell(model, reason)
    return reason is None


def _tell(model: BlocksBase, reason: str) -> None:
    """Say once for a `compile` why steps are taken one by one."""
    if reason not in model.told_reasons:
        model.told_reasons |= {reason}
        LOG.warning(
            "fit takes its steps one by one, which is slower than "
            'steps_per_execution="auto" may be: %s. compile(steps_per_execution=1) '
            "asks for that without this line.",
            reason,
        )


def reason_of_callbacks(callbacks: Callbacks) -> str | None:
    """Return which callback has to be called between any two steps; None: no one."""
    for callback in listed(callbacks):
        if needs_every_step(callback):
            return (
                f"the callback {type(callback).__name__} is called at every step (if "
                "it only watches, set `every_step = False` on it)"
            )
    return None


def listed(callbacks: Callbacks) -> list[Any]:
    """Return callbacks as a list; one that calls others stays one."""
    if isinstance(callbacks, list):
        return callbacks
    return [] if callbacks is None else [callbacks]
