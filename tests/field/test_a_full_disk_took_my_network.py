"""The disk was full while the network was saved, and the old file was gone as well.

Of the kind of Lightning-AI/pytorch-lightning#688 and lisa-lab/pylearn2#1079 ("Atomic
file saves"). Every way to write a network is tried on a disk that is full, and must
leave the old file to the byte.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend
PLACES = [Path(coloss.__file__).parents[1], Path(__file__).parent]


@pytest.fixture(scope="module")
def joint():
    def network():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")])

    return coloss.JointModel({"main": network(), "helper": network()})


@contextlib.contextmanager
def full_disk(size=2000):
    """No file may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WAYS = {
    "joint.save": (lambda joint, path: joint.save(path), "m.keras"),
    "member.save": (lambda joint, path: joint["main"].save(path), "m.keras"),
    "members.save": (lambda joint, path: joint.members["main"].save(path), "m.keras"),
    "export": (lambda joint, path: joint.export(path, verbose=False), "m.keras"),
    "export of a member": (
        lambda joint, path: joint.export(path, member="main", verbose=False),
        "m.keras",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_old_file_stays(joint, way, tmp_path):
    save, name = WAYS[way]
    path = tmp_path / name
    save(joint, path)
    before = path.read_bytes()
    with full_disk(), pytest.raises(Exception, match=r"(?i)too large|write|error"):
        save(joint, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [name]
    save(joint, path)
    keras.saving.load_model(path)


# HDF5 may end the process when it cannot write, whatever asks it to: tried in forks of
# a process of its own.
HDF5 = """\
import os, sys
import keras, coloss
from test_a_full_disk_took_my_network import full_disk

def network():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

folder = sys.argv[1]
joint = coloss.JointModel({"main": network(), "helper": network()})
main = joint["main"]
WAYS = {
    "m.h5": main.save,
    "main.weights.h5": main.save_weights,
    "joint.weights.h5": joint.save_weights,
}
for name, save in WAYS.items():
    path = os.path.join(folder, name)
    save(path)
    before = open(path, "rb").read()
    child = os.fork()
    if not child:
        with full_disk():
            save(path)
        os._exit(0)
    assert os.waitpid(child, 0)[1] != 0, f"{name}: saved"
    assert open(path, "rb").read() == before, f"{name}: gone"
    save(path)
    if name != "m.h5":
        whose = joint if name[0] == "j" else main
        weights = whose.get_weights()
        whose.set_weights([0 * w for w in weights])
        whose.load_weights(path)
        same = zip(whose.get_weights(), weights)
        assert all((one == other).all() for one, other in same), name
"""


@pytest.mark.skipif(
    keras.backend.backend() != "torch",
    reason="forks of JAX and TensorFlow may hang; no backend has a hand in the writing",
)
def test_the_old_file_stays_where_hdf5_cannot_write(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HDF5, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, PLACES)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_member_is_still_a_plain_network(joint, tmp_path):
    joint["main"].save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert type(loaded) is keras.Sequential and not {"save", "save_weights"} & set(
        vars(loaded)
    )
    x = np.ones((2, 3), "float32")
    first, second = map(keras.ops.convert_to_numpy, (loaded(x), joint["main"](x)))
    np.testing.assert_array_equal(first, second)
    copied = keras.models.clone_model(joint["main"])
    copied.save(tmp_path / "b.keras")


def test_keras_asks_before_it_overwrites(joint, tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    path.write_bytes(b"years of work")
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    weights = tmp_path / "a.weights.h5"
    weights.write_bytes(b"years of work")
    for network in (joint, joint["main"]):
        network.save(path, overwrite=False)
        network.save_weights(weights, overwrite=False)
        assert path.read_bytes() == weights.read_bytes() == b"years of work"
    with pytest.raises(ValueError, match="extension"):
        joint.save(tmp_path / "a.model")


def test_a_folder_with_more_than_a_saved_model_is_not_replaced(joint, tmp_path):
    place = tmp_path / "model"
    place.mkdir()
    (place / "saved_model.pb").write_bytes(b"")
    (place / "thesis.tex").write_bytes(b"years of work")
    with pytest.raises(ValueError, match=r"beside it 'thesis\.tex'"):
        joint.export(place, member="main", format="tf_saved_model")
    assert (place / "thesis.tex").read_bytes() == b"years of work"
