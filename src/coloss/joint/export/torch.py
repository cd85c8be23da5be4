"""A batch of any size in PyTorch's own format."""

from __future__ import annotations

from typing import Any

import keras


def dynamic_batch(signature: list[Any]) -> list[Any]:
    """Return `dynamic_shapes` for `torch.export`: the open first axes are one batch.

    Args:
        signature: one structure of `keras.InputSpec`, in a list.
    """
    import torch

    batch = torch.export.Dim("batch", min=1)

    def axes(spec: keras.InputSpec) -> dict[int, Any]:
        return {0: batch} if spec.shape[0] is None else {}

    # Keras's models take `*args`, which torch sees as one argument.
    return [tuple(keras.tree.map_structure(axes, signature))]
