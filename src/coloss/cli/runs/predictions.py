"""Outputs of networks as table columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from coloss.cli.runs.source_base import Source
from coloss.joint import JointModel


def columns_of(outputs: np.ndarray, is_classification: bool, prefix: str = "") -> dict:
    """Return `predicted` and, for classes, `probability_0`, `probability_1`, ...

    Args:
        outputs: (rows, classes) probabilities, or (rows, 1) numbers; rows of NaN where
            the input was missing.
        is_classification: which of both.
        prefix: of the names.
    """
    if not is_classification:
        return {f"{prefix}predicted": outputs[:, 0]}
    missing = np.isnan(outputs).any(axis=1)
    found = np.where(missing, -1, np.where(missing[:, None], 0, outputs).argmax(axis=1))
    columns: dict[str, Any] = {f"{prefix}predicted": found.astype("int32")}
    for place in range(outputs.shape[1]):
        columns[f"{prefix}probability_{place}"] = outputs[:, place]
    return columns


def evaluation(joint: JointModel, source: Source) -> Iterator[Any]:
    """Yield the table `evaluation` of a run, in pieces.

    Args:
        joint: trained.
        source: of the rows.
    """
    import pandas as pd

    main, classes = source.config.main, source.config.is_classification
    for piece in source.pieces():
        outputs = joint.predict(piece.x, batch_size=1024, verbose=0)
        columns = {"id": piece.ids, "split": piece.part, "label": piece.y}
        columns |= columns_of(np.asarray(outputs[main]), classes)
        if joint.fuse is not None:
            columns |= columns_of(np.asarray(outputs["fused"]), classes, "fused_")
        yield pd.DataFrame(columns)
