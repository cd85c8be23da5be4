"""Predictions for rows of new files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coloss.cli.config import Config
from coloss.cli.errors import CliError
from coloss.cli.runs.predictions import columns_of
from coloss.cli.runs.recorded import recorded_outputs
from coloss.cli.runs.reopen import (
    check_member,
    check_network,
    load_joint,
    load_member,
    origin,
)
from coloss.cli.runs.rows import member_features
from coloss.data import align
from coloss.data.filling import filled
from coloss.data.readers import DataError, Features
from coloss.names import counted, nearest
from coloss.run_folder import COLUMNS, RunFolder

if TYPE_CHECKING:
    import keras
    import pandas as pd


def predict_files(
    run: RunFolder,
    config: Config,
    files: list[str],
    member: str | None,
    fused: bool,
    *,
    only_probabilities: bool = False,
) -> pd.DataFrame:
    """Return a table of ids and predictions.

    Args:
        run: finished.
        config: of the run.
        files: `MEMBER=FILE` each, or one file of a table.
        member: the network; None: the main one.
        fused: whether all networks predict together.
        only_probabilities: whether the class that is predicted is left out.

    Raises:
        CliError: if a file, or its columns, do not fit the networks.
    """
    if fused and config.objective.fuse is None:
        raise CliError(
            'the run has no fused prediction; it needs objective.fuse = "mean".'
        )
    if only_probabilities and not config.is_classification:
        raise CliError(
            "--probabilities is for classes; the predictions of a regression are read "
            "by `outputs` as they are."
        )
    chosen = member or config.main
    given = _by_member(files, config)
    check_network(chosen, config)
    keys = config.members[chosen].inputs
    wanted = list(config.sources) if fused else list(keys or [chosen])
    lost = [name for name in wanted if name not in given]
    if lost:
        raise CliError(f"there is no file for {', '.join(lost)}: {lost[0]}=FILE.")
    found = {name: _read(run, config, name, given[name]) for name in wanted}
    if fused or keys is not None:
        ids, outputs = _of_several(run, "fused" if fused else chosen, found)
    else:
        network = load_member(run, config, chosen)
        ids, values = _ids(found[chosen]), found[chosen].values
        outputs = _predicted(network, values)
    table = _table(run, config, ids, outputs)
    # A row that was not seen stays as a row of empty cells: it has no prediction.
    return table.drop(columns="predicted") if only_probabilities else table


def _by_member(files: list[str], config: Config) -> dict[str, Path]:
    found = {}
    for text in files:
        name, equals, path = text.partition("=")
        if not equals and config.data.table is not None:
            # Recorded predictions are in a file of their own.
            table = [name for name in config.sources if name not in config.recorded]
            found.update(dict.fromkeys(table, Path(text)))
        elif not equals:
            raise CliError(f"expected MEMBER=FILE; found {text!r}.")
        else:
            check_member(name, config)
            reads = config.members[name].inputs
            if reads is not None:
                wanted = " ".join(f"{key}=FILE" for key in reads)
                raise CliError(f"{name!r} has no data of its own: give {wanted}.")
            found[name] = Path(path)
    return found


def _read(run: RunFolder, config: Config, name: str, path: Path) -> Features:
    """Return new features; their columns must be those of the training data."""
    known = _columns(run, name)
    try:
        found = member_features(
            config, name, config.members[name], origin(run), path, known["names"]
        )
    except DataError as error:
        raise CliError(str(error)) from None
    values = found.values
    if known["names"] and found.names != known["names"]:
        values = _reordered(found, known["names"], path, name)
    if known["fill"] is not None:
        values = filled(values, np.array(known["fill"], "float32"))
    read = Features(found.ids, values, known["names"])
    if name not in config.recorded:
        return read
    try:
        return recorded_outputs(config, name, read, (run.data or {})["classes"], path)
    except DataError as error:
        raise CliError(str(error)) from None


def _columns(run: RunFolder, name: str) -> dict[str, Any]:
    """Return `names` and `fill` of a member's columns.

    Raises:
        CliError: if the file is of another shape than coloss writes.
    """
    known = run.columns.get(name, {"names": [], "fill": None})
    names = known.get("names") if isinstance(known, dict) else None
    fill = known.get("fill") if isinstance(known, dict) else None
    texts = isinstance(names, list) and all(isinstance(one, str) for one in names)
    numbers = fill is None or (
        isinstance(fill, list)
        and len(fill) == len(names or fill)
        and all(isinstance(one, int | float) for one in fill)
    )
    if not texts or not numbers:
        raise CliError(
            f"'{run.path / COLUMNS}' is none that coloss wrote: what it says of "
            f"{name!r} is no list of names with their fills."
        )
    return {"names": names, "fill": fill}


def _reordered(
    found: Features, trained: list[str], path: Path, member: str
) -> np.ndarray:
    place = {column: number for number, column in enumerate(found.names)}
    lost = [column for column in trained if column not in place]
    if lost:
        raise CliError(
            f"{path}: lacks {counted(len(lost), 'column')} that {member!r} was trained "
            f"on, the first is {lost[0]!r}{nearest(lost[0], found.names)}."
        )
    return found.values[:, [place[column] for column in trained]]


def _ids(found: Features) -> list[str]:
    return found.ids or [str(row) for row in range(len(found.values))]


def _predicted(network: keras.Model, values: np.ndarray) -> np.ndarray:
    """Return outputs; NaN for rows that are missing."""
    expected = tuple(network.input_shape[1:])
    if values.shape[1:] != expected:
        raise CliError(
            f"the network takes rows of shape {expected}; the file has "
            f"{values.shape[1:]}."
        )
    flat = np.isnan(values).reshape(len(values), -1)
    partly = flat.any(axis=1) & ~flat.all(axis=1)
    if partly.any():
        raise CliError(
            f"single values are missing in {counted(int(partly.sum()), 'row')} (the "
            f"first is row {int(np.argmax(partly))}); fill them first."
        )
    missing = flat.all(axis=1)
    clean = np.where(missing.reshape(-1, *[1] * (values.ndim - 1)), 0.0, values)
    outputs = np.array(network.predict(clean.astype("float32"), 1024, verbose=0))
    outputs[missing] = np.nan
    return outputs


def _of_several(
    run: RunFolder, prediction: str, found: dict[str, Features]
) -> tuple[list[str], np.ndarray]:
    joint = load_joint(run)
    try:
        tables = {name: (_ids(f), f.values) for name, f in found.items()}
        joined = align(tables)
        outputs = joint.predict(joined.x, batch_size=1024, verbose=0)
    except ValueError as error:
        raise CliError(f"the files do not fit the networks: {error}") from None
    return joined.ids, np.asarray(outputs[prediction])


def _table(
    run: RunFolder, config: Config, ids: list[str], outputs: np.ndarray
) -> pd.DataFrame:
    import pandas as pd

    columns = columns_of(outputs, config.is_classification)
    classes = (run.data or {}).get("classes")
    if classes:
        places = columns.pop("predicted")
        named = {"predicted": [None if p < 0 else classes[p] for p in places]}
        for place, name in enumerate(classes):
            named[f"probability_{name}"] = columns[f"probability_{place}"]
        columns = named
    return pd.DataFrame({config.data.id or "row": ids, **columns})
