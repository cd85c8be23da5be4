"""Loading a network never runs code, reads no other file, and takes no more memory."""

from __future__ import annotations

import resource
import sys
import zipfile

import keras
import numpy as np
import pytest

from coloss.joint.saving import archive
from coloss.joint.saving.foreign import ForeignFileError, load_foreign
from tests import hostile

SAID = {
    "CVE-2024": "asks for Lambda",
    "CVE-2025-1550": "asks for",
    "CVE-2025-8747": "asks for",
    "CVE-2025-9906": "asks for",
    "CVE-2025-12058": "would read the file",
    "CVE-2025-49655": "asks for TorchModuleWrapper",
    "CVE-2025-9905": "is no `.keras` file",
}
"""Whose refusal it is: ours, before Keras sees the file."""


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", [*hostile.FILES, *hostile.LEGACY])
def test_every_known_hole_is_refused_before_keras_sees_the_file(
    what, tmp_path, monkeypatch
):
    def never(*arguments, **options):
        raise AssertionError("Keras was asked")

    path = hostile.written(what, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keras.saving, "load_model", never)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ForeignFileError) as caught:
        load_foreign(path)
    told = str(caught.value)
    assert told.startswith(f"'{path}' ") and "\n" not in told
    assert len(told) < 400 + len(str(path))
    assert SAID.get(what.split(",")[0], "") in told, told
    assert not hostile.ran(tmp_path) and "evil" not in sys.modules
    # Kilobytes: neither bombs nor shapes were unpacked.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


@pytest.fixture(scope="module")
def network():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Normalization(mean=[0.0] * 4, variance=[1.0] * 4),
            keras.layers.Dense(5, keras.ops.relu, kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, "softmax", dtype="float32"),
        ]
    )


@pytest.mark.backend
@pytest.mark.parametrize("sealed", [True, False])
def test_a_network_comes_back_as_it_was(network, tmp_path, sealed):
    path = tmp_path / "a.keras"
    network.compile(keras.optimizers.AdamW(0.1), "mse", metrics=["mae"])
    network.train_on_batch(np.ones((2, 4)), np.ones((2, 3)))
    network.save(path)
    if sealed:
        archive.seal(path)
    assert archive.is_sealed(path) is sealed
    for loaded in (load_foreign(path), keras.saving.load_model(path)):
        x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
        np.testing.assert_array_equal(
            loaded.predict(x, verbose=0), network.predict(x, verbose=0)
        )
        assert isinstance(loaded.optimizer, keras.optimizers.AdamW)


def test_a_seal_is_put_once(network, tmp_path):
    path = tmp_path / "a.keras"
    network.save(path)
    archive.seal(path)
    content = path.read_bytes()
    archive.seal(path)
    assert path.read_bytes() == content
    other = tmp_path / "no.txt"
    other.write_text("no archive, but a text that is longer than the end of one")
    archive.seal(other)
    assert other.read_text().startswith("no archive")


def test_what_keras_does_over_weights_may_end_its_process_not_ours(network, tmp_path):
    """HDF5 is read first in a process of its own, whose end is a sentence."""
    path = tmp_path / "a.keras"
    network.save(path)
    with zipfile.ZipFile(path) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    good = parts["model.weights.h5"]
    chance, refused = np.random.default_rng(0), 0
    for _ in range(4):
        bad = bytearray(good)
        for place in chance.integers(0, 2000, 20):
            bad[place] = chance.integers(0, 256)
        hostile.write(path, parts["config.json"], bytes(bad))
        try:
            load_foreign(path)
        except ForeignFileError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused


def test_registered_classes_of_the_user_are_loaded(tmp_path):
    @keras.saving.register_keras_serializable(package="mine")
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    try:
        network = keras.Sequential([keras.Input((4,)), Twice()])
        network.save(tmp_path / "a.keras")
        loaded = load_foreign(tmp_path / "a.keras")
        np.testing.assert_array_equal(loaded(np.ones((1, 4))), np.full((1, 4), 2.0))
    finally:
        del keras.saving.get_custom_objects()["mine>Twice"]
    with pytest.raises(ForeignFileError, match="Twice"):
        load_foreign(tmp_path / "a.keras")
