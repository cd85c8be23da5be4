"""Data that a joint model is given, looked at before anything is done with it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras

from coloss.joint.autodiff import undrawn
from coloss.joint.base import JointBase
from coloss.joint.checks.array_checks import CheckedArrays, check_arrays
from coloss.joint.checks.data_warnings import warn_of_data
from coloss.joint.checks.head_agreement import check_outputs
from coloss.joint.compiled import CompiledSettings
from coloss.joint.inputs.arrays import as_symbols
from coloss.joint.optimizers.learning_rates import warn_of_learning_rates
from coloss.objective import ObjectiveWarning
from coloss.typing import ByMember, Nested


class CheckedDataMixin(JointBase):
    """What is wrong with data, and what is doubtful, in sentences."""

    _seen_shapes: tuple[str, Any] = ("", None)
    _outputs_checked_for: CompiledSettings | None = None
    """The compiled settings for which the members' outputs were looked at."""

    def check_arrays(
        self,
        x: Mapping[str, object],
        y: ByMember = None,
        sample_weight: ByMember = None,
        where: str = "",
    ) -> CheckedArrays:
        """Return arrays as train steps take them, or say what is wrong with them.

        Args:
            x: inputs by member: arrays, frames, lists of rows.
            y: labels: one array for all members, or by member.
            sample_weight: one array for all members, or by member.
            where: prefix of messages, such as "validation data: ".

        Raises:
            TypeError: if `x` is no dict by member.
            ValueError: naming the member, what was found, and what was expected.
        """
        settings, members = self.compiled_settings, dict(self.members)
        arrays = check_arrays(
            members,
            settings.losses,
            settings.needed,
            self._symbolic_outputs,
            x,
            y,
            sample_weight,
            where,
            self.assembly,
        )
        # Once for a `compile`: a few rows show what a head is.
        if self._outputs_checked_for is not settings:
            for note in check_outputs(members, settings.losses, arrays.by_member):
                warnings.warn(note, ObjectiveWarning, stacklevel=3)
            self._outputs_checked_for = settings
        return arrays

    def data_warnings(
        self, x: Mapping[str, object], y: ByMember = None, where: str = ""
    ) -> list[str]:
        """Return what would train without a word and teach nothing.

        Labels that are all unlabeled or of one class, inputs that are missing on
        every row, learning rates out of all proportion. `fit` warns of the same.

        Args:
            x: inputs by member: arrays, frames, lists of rows.
            y: labels: one array for all members, or by member.
            where: prefix of the sentences on the data.

        Raises:
            ValueError: if arrays do not fit the members.
        """
        notes = self._notes(self.check_arrays(x, y, where=where), where)
        return [*notes, *warn_of_learning_rates(self.optimizer)]

    def _notes(self, arrays: CheckedArrays, where: str = "") -> list[str]:
        settings, read = self.compiled_settings, arrays.by_member
        return warn_of_data(settings.losses, settings.needed, read, arrays.y, where)

    def _symbolic_outputs(self, x: Mapping[str, Nested]) -> Mapping[str, Nested]:
        """Return the members' outputs as shapes; builds members that are not built."""
        symbols = as_symbols(self.members, x)
        key = str([(leaf.shape, leaf.dtype) for leaf in keras.tree.flatten(symbols)])
        # A symbolic pass takes as long as many steps; shapes seldom change.
        if self._seen_shapes[0] != key:
            # A model that was loaded has to do this once more than one that was not:
            # both must draw the same random numbers afterward.
            with undrawn():
                self._seen_shapes = (key, self(symbols))
        return self._seen_shapes[1]

    def _check_validation(self, split: float, data: object) -> None:
        """Refuse to train without the validation rows that a weighting reads."""
        plan = self._auxiliary.balance.plan
        if plan.validates and not split and data is None:
            raise ValueError(
                f"{type(plan.weighting).__name__} weighs networks by their validation "
                "losses: give `validation_data` or `validation_split`."
            )
