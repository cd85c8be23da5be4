"""The joint model's side of steps in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from coloss.joint.base import JointBase
from coloss.joint.epochs import test_function, train_function

if TYPE_CHECKING:
    # At run time it imports JAX, which may not be there.
    from coloss.joint.epochs.blocks import BlocksBase, Turns
else:
    BlocksBase = JointBase


class EpochsMixin(BlocksBase):
    """A joint model whose train and test functions can take many steps at once."""

    takes_blocks = False
    """Whether `steps_per_execution` is "auto"."""

    turns: Mapping[str, Turns] = MappingProxyType({})
    """Rows on the device, by the word that stands for them within the present `fit`."""

    told_reasons: frozenset[str] = frozenset()
    """Why steps were taken one by one, said since `compile`."""

    def make_train_function(self, force: bool = False) -> None:
        """Make what takes a step, or a block of them; as in Keras."""
        if self.train_function is None or force:
            super().make_train_function(force)
            if self.train_function is not None:
                self.train_function = train_function(self, self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        """Make what evaluates a batch, or a block of them; as in Keras."""
        if self.test_function is None or force:
            super().make_test_function(force)
            if self.test_function is not None:
                self.test_function = test_function(self, self.test_function)
