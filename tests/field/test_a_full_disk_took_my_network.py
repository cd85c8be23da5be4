"""The disk was full while the network was saved, and the old file was gone as well.

Of the kind of Lightning-AI/pytorch-lightning#688 and lisa-lab/pylearn2#1079 ("Atomic
file saves"). Every way to write a network is tried on a disk that is full, and must
leave the old file to the byte.
"""

from __future__ import annotations

import contextlib
import os
import resource

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend


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


def test_a_member_is_still_a_plain_network(joint, tmp_path):
    joint["main"].save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert type(loaded) is keras.Sequential and "save" not in vars(loaded)
    x = np.ones((2, 3), "float32")
    first, second = map(keras.ops.convert_to_numpy, (loaded(x), joint["main"](x)))
    np.testing.assert_array_equal(first, second)
    copied = keras.models.clone_model(joint["main"])
    copied.save(tmp_path / "b.keras")


def test_keras_asks_before_it_overwrites(joint, tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    path.write_bytes(b"years of work")
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    for network in (joint, joint["main"]):
        network.save(path, overwrite=False)
        assert path.read_bytes() == b"years of work"
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
