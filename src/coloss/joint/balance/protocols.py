"""What the balanced loss reads of a joint model, by name and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from coloss.joint.balance.gradient_basis import GradientBasis
from coloss.joint.balance.state import Balance
from coloss.joint.supervision.member_loss import MemberLoss
from coloss.joint.values.batch_values import BatchValues
from coloss.joint.values.coefficients import Coefficients
from coloss.joint.values.term_schedule import TermSchedule
from coloss.objective.expression import Expression
from coloss.typing import Tensor


class BalancedSettings(Protocol):
    """What `compile` was told."""

    @property
    def summands(self) -> Sequence[tuple[Expression, str]]:
        """The summands, with the name of each in the history."""

    @property
    def losses(self) -> Mapping[str, MemberLoss]:
        """Each member's loss."""


class BalanceLayers(Protocol):
    """The layers beside the members."""

    balance: Balance
    schedule: TermSchedule


class BasisHolder(Protocol):
    """Where the loss leaves what the train step combines."""

    basis: GradientBasis | None


class BalancedModel(Protocol):
    """A compiled joint model."""

    _coefficients: Coefficients
    batch_of: Callable[..., BatchValues]

    @property
    def losses(self) -> list[Tensor]:
        """Regularizers of the members' layers."""

    @property
    def compiled_settings(self) -> BalancedSettings:
        """What `compile` was told."""

    @property
    def _auxiliary(self) -> BalanceLayers:
        """The layers beside the members."""

    @property
    def _step_context(self) -> BasisHolder:
        """Where the loss leaves what the train step combines."""
