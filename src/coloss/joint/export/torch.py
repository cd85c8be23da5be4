"""A batch of any size in PyTorch's own format."""

from __future__ import annotations

import keras

from coloss.typing import Nested


def dynamic_batch(signature: list[Nested]) -> list[Nested]:
    """Return `dynamic_shapes` for `torch.export`: the open first axes are one batch.

    Args:
        signature: one structure of `keras.InputSpec`, in a list.
    """
    import torch

    batch = torch.export.Dim("batch", min=1)

    def axes(spec: keras.InputSpec) -> dict[int, object]:
        return {0: batch} if spec.shape[0] is None else {}

    # Keras's models take `*args`, which torch sees as one argument.
    return [tuple(keras.tree.map_structure(axes, signature))]
