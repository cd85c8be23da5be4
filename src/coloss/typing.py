"""Types that several rooms speak of. Importing them imports no Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import keras

Tensor: TypeAlias = Any
"""A tensor of the backend that runs: Keras has no type that all three share."""

State: TypeAlias = dict[str, Tensor]
"""What a method remembers from step to step, by name."""

Seed: TypeAlias = "int | keras.random.SeedGenerator | None"
"""Where random numbers come from."""
