"""Networks from files that others wrote. Loading one never runs what is in it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import keras

from coloss.joint.keras_internals import without_values
from coloss.joint.saving import archive, weights_probe
from coloss.joint.saving.archive import CONFIG, ForeignFileError
from coloss.joint.saving.config_rules import check_config

SECONDS = 600
"""That the process which looks at the weights may take."""
SPARE = 2**24
"""Numbers that a network may have beside those in its file, as of random layers."""


def load_foreign(path: Path, *, compile: bool = True) -> keras.Model:
    """Return the network in a `.keras` file, whoever wrote it.

    The file is looked at before Keras is: that it is undamaged and unpacks to no more
    than it may, that its configuration names parts of networks alone, that its weights
    are arrays inside of the file, and that the network is no larger than they are.

    Args:
        path: of the file.
        compile: whether to compile it as it was.

    Raises:
        ForeignFileError: naming the file and what is wrong with it.
        OSError: if it cannot be read.
    """
    try:
        if path.suffix != ".keras":
            raise ForeignFileError(
                "is no `.keras` file. Older formats may run code when they are read: "
                "load it in Keras if you trust it, and save it as .keras"
            )
        archive.check(path)
        config = _config(path)
        weights = _weights(path)
        _check_size(config, weights)
        return _loaded(path, compile=compile)
    except ForeignFileError as error:
        raise ForeignFileError(f"'{path}' {error}") from None


def _config(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as opened:
        return check_config(opened.read(CONFIG))


def _weights(path: Path) -> int:
    """Return the bytes of all weights, from a process that may fail over them."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
        # Every thread would take of the memory that the process may have.
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-P", weights_probe.__file__, str(path.resolve())]
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ForeignFileError("has weights that take too long to read") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise ForeignFileError(
            f"has weights that cannot be read (exit code {done.returncode})"
        ) from None
    if "error" in answer:
        raise ForeignFileError(f"has weights that are not read: it {answer['error']}")
    return int(answer["bytes"])


def _check_size(config: dict[str, object], weights: int) -> None:
    """Refuse a network that is larger than its weights, before memory is taken."""
    alone = {**config, "compile_config": None}
    with without_values():
        try:
            network = keras.saving.deserialize_keras_object(
                # A copy: Keras takes apart what it reads.
                json.loads(json.dumps(alone)),
                safe_mode=True,
            )
            shapes = [tuple(one.shape) for one in network.variables]
        except Exception as error:  # Keras raises what it likes here.
            raise _refused(error) from None
    numbers = sum(math.prod(shape) for shape in shapes)
    if numbers > weights + SPARE:
        raise ForeignFileError(
            f"describes a network of {numbers} numbers, and holds {weights} bytes"
        )


def _loaded(path: Path, *, compile: bool) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=compile, safe_mode=True)
    except Exception as error:  # Keras raises what it likes here.
        raise _refused(error) from None


def _refused(error: Exception) -> ForeignFileError:
    first = str(error).strip().split("\n\n")[0].replace("\n", " ")
    return ForeignFileError(f"cannot be loaded: {first or type(error).__name__}")
