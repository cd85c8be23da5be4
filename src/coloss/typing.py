"""Types that several rooms speak of. Importing them imports no Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import keras

Tensor: TypeAlias = Any
"""A tensor of the backend that runs: Keras has no type that all three share.

The one name for `Any` in `src`: `tools/count_any.py` counts it here and nowhere else.
"""

Nested: TypeAlias = "Tensor | Mapping[str, Nested] | Sequence[Nested]"
"""A tensor, or dicts, lists and tuples of tensors, as `keras.tree` takes them apart."""

Rows: TypeAlias = Tensor | Mapping[str, Tensor]
"""One array, or one by member."""

ByMember: TypeAlias = Rows | None
"""Labels or weights: one array for all members, or by member."""

State: TypeAlias = dict[str, Tensor]
"""What a method remembers from step to step, by name."""

Seed: TypeAlias = "int | keras.random.SeedGenerator | None"
"""Where random numbers come from."""

Shape: TypeAlias = tuple[int | None, ...]
"""Of a tensor; None where a size is not known before the data is."""

Store: TypeAlias = MutableMapping[str, Tensor]
"""The arrays of one layer in a file, by name."""

Logs: TypeAlias = dict[str, float]
"""What Keras hands to callbacks: numbers by name."""

FilePath: TypeAlias = str | PathLike[str]
"""Where a file is."""

LossFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From (y_true, y_pred) to one number, or one a row."""

Callbacks: TypeAlias = (
    "keras.callbacks.Callback | keras.callbacks.CallbackList"
    " | Sequence[keras.callbacks.Callback] | None"
)
"""What `fit(callbacks=)` takes."""
