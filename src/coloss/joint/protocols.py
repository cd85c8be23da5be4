"""What rooms above the members need of a joint model, by name and type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import keras

from coloss.joint.auxiliary import AuxiliaryLayers
from coloss.joint.checks.array_checks import CheckedArrays
from coloss.joint.compiled import CompiledSettings
from coloss.joint.outputs.forward import Forward
from coloss.joint.values.batch_values import BatchValues
from coloss.joint.values.coefficients import Coefficients


class ExplainableModel(Protocol):
    """What an explanation reads of a compiled joint model."""

    optimizer: Any

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

    def check_arrays(self, x: Any, y: Any, sample_weight: Any) -> CheckedArrays:
        """Return one batch, checked and spelled out by member."""

    def batch_of(
        self,
        forward: Forward,
        y: Any,
        sample_weight: Any = None,
        training: bool = False,
    ) -> BatchValues:
        """Return what the objective's names mean on one batch."""
