"""The joint model's side of steps in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from coloss.joint.epochs import test_function, train_function
from coloss.joint.epochs.turns import BlocksBase, TurnsOfFit
from coloss.joint.keras_internals import STEP_STATE, set_values, sync_held_state
from coloss.typing import Tensor


class EpochsMixin(BlocksBase):
    """A joint model whose train and test functions can take many steps at once.

    While they do, what Keras does between epochs, variable by variable, is done here in
    one go: in a short epoch it would take longer than the steps.
    """

    takes_blocks = False
    """Whether `steps_per_execution` is "auto"."""

    turns = TurnsOfFit()
    """Of the present `fit`."""

    _optimizer_config: Mapping[str, object] = MappingProxyType({})
    """What made the optimizer, when `compile` was called."""

    told_reasons: frozenset[str] = frozenset()
    """Why steps were taken one by one, said since `compile`."""

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, as in Keras; a step's arrays without a look at each."""
        if name in STEP_STATE:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def make_train_function(self, force: bool = False) -> None:
        """Make what takes a step, or a block of them; as in Keras."""
        if self.train_function is None or force:
            super().make_train_function(force)
            if self.train_function is not None:
                self.train_function = train_function(
                    self, self.train_function, partial(self._remade, "train")
                )

    def make_test_function(self, force: bool = False) -> None:
        """Make what evaluates a batch, or a block of them; as in Keras."""
        if self.test_function is None or force:
            super().make_test_function(force)
            if self.test_function is not None:
                self.test_function = test_function(
                    self, self.test_function, partial(self._remade, "test")
                )

    def _remade(self, kind: str) -> Any:
        """Return Keras's function for the present number of steps in a call.

        Args:
            kind: "train" or "test".
        """
        name = f"{kind}_function"
        kept = getattr(self, name)
        try:
            getattr(super(), f"make_{name}")(force=True)
            return getattr(self, name)
        finally:
            setattr(self, name, kept)

    def get_metrics_result(self) -> dict[str, Tensor]:
        """Return the loss and every metric so far, by name; as in Keras."""
        if self.turns.logs is not None:
            return dict(self.turns.logs)
        return super().get_metrics_result()

    def reset_metrics(self) -> None:
        """Let all metrics forget what they counted; as in Keras."""
        turns = self.turns
        turns.logs = None
        if not turns.active:
            super().reset_metrics()
            return
        variables = self.metrics_variables
        lost = any(value.is_deleted() for value in turns.fresh)
        if lost or len(turns.fresh) != len(variables):
            super().reset_metrics()
            turns.fresh = tuple(variable.value for variable in variables)
        else:
            set_values(variables, turns.fresh)

    def jax_state_sync(self) -> None:
        """Give variables the values that they have on the device; as in Keras."""
        if self.turns.active:
            sync_held_state(self)
        else:
            super().jax_state_sync()
