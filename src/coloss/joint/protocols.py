"""What rooms above the members need of a joint model, by name and type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import keras

from coloss.joint.auxiliary import AuxiliaryLayers
from coloss.joint.checks.array_checks import CheckedArrays
from coloss.joint.compiled import CompiledSettings
from coloss.joint.inputs.assembly import Assembly
from coloss.joint.outputs.forward import Forward
from coloss.joint.values.batch_values import BatchValues
from coloss.joint.values.coefficients import Coefficients
from coloss.typing import ByMember


class ExplainableModel(Protocol):
    """What an explanation reads of a compiled joint model."""

    optimizer: keras.optimizers.Optimizer

    assembly: Assembly

    @property
    def members(self) -> Mapping[str, keras.Model]:
        """Networks by name."""

    @property
    def variables(self) -> list[keras.Variable]:
        """Everything that a step may read or change."""

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """What training moves."""

    @property
    def compiled_settings(self) -> CompiledSettings:
        """What `compile` was told."""

    @property
    def coefficient_layer(self) -> Coefficients:
        """The coefficients, with their present values."""

    @property
    def auxiliary(self) -> AuxiliaryLayers:
        """The layers beside the members."""

    def check_arrays(
        self, x: Mapping[str, object], y: ByMember, sample_weight: ByMember
    ) -> CheckedArrays:
        """Return one batch, checked and spelled out by member."""

    def batch_of(
        self,
        forward: Forward,
        y: ByMember,
        sample_weight: ByMember = None,
        training: bool = False,
    ) -> BatchValues:
        """Return what the objective's names mean on one batch."""
