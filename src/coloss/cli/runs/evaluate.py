"""Figures of a finished run's networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coloss.cli.config import Config, load
from coloss.cli.errors import CliError
from coloss.cli.runs.open_source import open_source
from coloss.cli.runs.reopen import load_joint, origin
from coloss.data.readers import DataError
from coloss.run_folder import RunFolder


def evaluate_run(
    run: RunFolder, config: Config, other: Path | None, part: str | None
) -> dict[str, dict[str, float]]:
    """Return losses and metrics by part.

    Args:
        run: finished.
        config: of the run.
        other: a configuration whose data to use instead.
        part: one part; None: validation and test.

    Raises:
        CliError: if the data cannot be used.
    """
    folder = origin(run)
    if other is not None:
        config, folder = load(other), other.parent
    joint = load_joint(run)
    try:
        source = open_source(config, folder)
        found: dict[str, list[tuple[int, dict[str, float]]]] = {}
        for piece in source.pieces():
            if part in (None, piece.part):
                logs = joint.evaluate(piece.x, piece.y, verbose=0, return_dict=True)
                found.setdefault(piece.part, []).append((len(piece.ids), logs))
    except (DataError, ValueError) as error:
        raise CliError(str(error)) from None
    if not found:
        raise CliError("there are no such rows.")
    return {name: _mean(pieces) for name, pieces in found.items()}


def _mean(pieces: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    weights = [rows for rows, _ in pieces]
    return {
        entry: float(
            np.average([float(logs[entry]) for _, logs in pieces], weights=weights)
        )
        for entry in pieces[0][1]
    }
