"""What the parts of a joint model (its mixins, its steps) know of each other.

At run time there is nothing here but Keras's class: each part declares what it reads of
the others once, for the type checker, and `JointModel` brings it all together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import keras

from coloss.joint.auxiliary import AuxiliaryLayers
from coloss.joint.compiled import CompiledSettings
from coloss.joint.inputs.assembly import Assembly
from coloss.joint.keras_model import KerasModel
from coloss.joint.outputs.fusion import Fuse
from coloss.joint.step_context import StepContext
from coloss.joint.values.batch_values import BatchValues
from coloss.joint.values.coefficients import ByName, Coefficients
from coloss.objective import Objective
from coloss.typing import Nested, Tensor

if TYPE_CHECKING:

    class JointBase(KerasModel):
        """A joint model, as its parts see it."""

        fuse: Fuse | None
        moving_coefficients: set[str]
        batch_of: Callable[..., BatchValues]
        assembly: Assembly
        _member_names: tuple[str, ...]
        _coefficients: Coefficients
        _auxiliary: AuxiliaryLayers
        _compiled_settings: CompiledSettings | None
        _arguments: Mapping[str, object]
        _optimizer_config: Mapping[str, object]
        _step_context: StepContext

        def __call__(
            self, inputs: Nested, training: bool = ...
        ) -> dict[str, Tensor]: ...

        def __getitem__(self, name: str) -> keras.Model: ...

        def __iter__(self) -> Iterator[str]: ...

        @property
        def members(self) -> Mapping[str, keras.Model]: ...

        @property
        def objective(self) -> Objective: ...

        @property
        def coefficients(self) -> ByName: ...

        @property
        def auxiliary(self) -> AuxiliaryLayers: ...

        @property
        def coefficient_layer(self) -> Coefficients: ...

        @property
        def compiled_settings(self) -> CompiledSettings: ...

    StepBase = JointBase

else:
    JointBase, StepBase = KerasModel, object
