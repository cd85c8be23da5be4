"""What `coloss doctor` looks at."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from coloss._backend import BACKENDS
from coloss.cli.runs import environment
from coloss.names import nearest

OK, WARN, BROKEN = "ok", "note", "broken"
_GIB = 2**30
_OPTIONAL = {
    "onnx": ('"coloss[export]"', "export to ONNX"),
    "plotly": ('"coloss[report]"', "reports"),
    "pyarrow": ('"coloss[cli]"', "reading data files"),
    "ray": ('"coloss[ray]"', "studies on a cluster"),
}


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        what: it is.
        state: "ok", "note" or "broken".
        found: what was found.
        mend: what to do; empty where nothing is to be done.
    """

    what: str
    state: str
    found: str
    mend: str = ""


def findings(quick: bool) -> Iterator[Finding]:
    """Yield everything, the self-test last unless `quick`."""
    yield _python()
    backend = _backend()
    yield backend
    yield _memory()
    yield _disk()
    yield from _extras()
    if backend.state == BROKEN:
        return
    keras = _keras()
    yield keras
    if keras.state == BROKEN or quick:
        return
    yield Finding("device", OK, ", ".join(environment.devices()) or "cpu")
    yield self_test()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", OK, version)


def _backend() -> Finding:
    """Look at the backend without importing Keras, which fails with a traceback."""
    chosen = os.environ.get("KERAS_BACKEND", "")
    known = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if not known:
        return Finding("backend", BROKEN, "none", 'pip install "coloss[jax]"')
    if chosen not in BACKENDS:
        return Finding(
            "backend",
            BROKEN,
            f"KERAS_BACKEND={chosen}{nearest(chosen, BACKENDS)}",
            f"set it to one of {', '.join(known)}, or unset it",
        )
    if chosen not in known:
        return Finding(
            "backend",
            BROKEN,
            f"KERAS_BACKEND={chosen}, which is not installed",
            f'pip install "coloss[{chosen}]", or KERAS_BACKEND={known[0]}',
        )
    return Finding("backend", OK, f"{chosen} (installed: {', '.join(known)})")


def _memory() -> Finding:
    total = environment.memory()
    if total is None:
        return Finding("memory", WARN, "unknown", "")
    told = f"{total / _GIB:.1f} GiB"
    if total < 4 * _GIB:
        return Finding("memory", WARN, told, "data.stream reads large files in parts")
    return Finding("memory", OK, told)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    told = f"{free / _GIB:.1f} GiB free here"
    if free < _GIB:
        return Finding("disk", WARN, told, "runs keep models and tables: make room")
    return Finding("disk", OK, told)


def _extras() -> Iterator[Finding]:
    for name, (extra, what) in _OPTIONAL.items():
        if importlib.util.find_spec(name) is None:
            yield Finding(name, WARN, f"missing: {what}", f"pip install {extra}")


def _keras() -> Finding:
    try:
        import keras
    except Exception as error:  # Whatever a broken installation raises.
        return Finding(
            "keras", BROKEN, f"cannot be imported: {error}", "pip install -U keras"
        )
    version = keras.__version__
    if tuple(int(part) for part in version.split(".")[:2]) < (3, 15):
        return Finding("keras", BROKEN, version, 'pip install -U "keras>=3.15"')
    return Finding("keras", OK, version)


def self_test() -> Finding:
    """Train two networks for some seconds, save one, and load it again."""
    start = time.monotonic()
    try:
        gained, same = _trained()
    except Exception as error:  # Anything at all is a finding.
        return Finding(
            "self-test",
            BROKEN,
            f"{type(error).__name__}: {error}",
            "try another backend: KERAS_BACKEND=torch coloss doctor",
        )
    seconds = time.monotonic() - start
    told = f"{seconds:.0f} s; accuracy {gained:.2f} on digits"
    if gained < 0.5:
        return Finding("self-test", BROKEN, told, "expected more than 0.5; reinstall")
    if not same:
        return Finding("self-test", BROKEN, "a saved network answers differently", "")
    return Finding("self-test", OK, told)


def _trained() -> tuple[float, bool]:
    import keras
    import numpy as np

    from coloss.data import load_digits_views
    from coloss.joint import JointModel
    from coloss.joint.keras_internals import set_random_seed

    split = load_digits_views(("fou", "kar"), seed=0)
    (x, y), (other, truth) = split.train, split.test
    set_random_seed(0)
    joint = JointModel(
        {
            name: keras.Sequential(
                [keras.Input((values.shape[1],)), keras.layers.Dense(10, "softmax")]
            )
            for name, values in x.items()
        }
    )
    joint.compile(
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        "fou + kar + distill(kar >> fou)",
    )
    joint.fit(x, y, epochs=20, batch_size=64, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        joint["kar"].save(Path(folder) / "kar.keras")
        again = keras.saving.load_model(Path(folder) / "kar.keras")
    outputs = joint["kar"].predict(other["kar"], verbose=0)
    same = np.allclose(outputs, again.predict(other["kar"], verbose=0), atol=1e-6)
    return float(np.mean(outputs.argmax(1) == truth)), same
