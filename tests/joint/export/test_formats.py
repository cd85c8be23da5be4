"""Who writes which format, and how a request reaches another process."""

from __future__ import annotations

import keras

from coloss.joint.export import formats, other_backend
from coloss.joint.export.formats import ROUTES, choose, format_of


def only(monkeypatch, *modules):
    monkeypatch.setattr(formats, "installed", lambda name: name in modules)


def test_the_own_backend_comes_first(monkeypatch):
    only(monkeypatch, "jax", "torch", "tensorflow", "onnx", "tf2onnx", "jax2onnx")
    for backend in ("jax", "tensorflow", "torch"):
        assert choose("onnx", backend).backend == backend
    assert choose("onnx", "jax", "torch").backend == "torch"
    assert choose("onnx", "torch", whole=True).backend == "jax"
    only(monkeypatch, "jax", "torch", "onnx")
    assert choose("onnx", "jax").backend == "torch"


def test_every_module_in_the_table_is_found_where_it_is_installed():
    assert formats.installed("keras")
    assert not formats.installed("no_such_module")
    # The tests bring all of these.
    assert not choose("onnx", "tensorflow").missing
    assert not choose("onnx", "torch").missing
    assert set(ROUTES) - {"keras"} == {
        "onnx",
        "tf_saved_model",
        "litert",
        "openvino",
        "torch",
    }


def test_the_format_by_the_name(tmp_path):
    names = ["a.keras", "a.onnx", "a.tflite", "a.xml", "a.pt2", "a"]
    found = [format_of(tmp_path / name, None) for name in names]
    assert found == ["keras", "onnx", "litert", "openvino", "torch", "tf_saved_model"]
    assert format_of(tmp_path / "a.v2", "tf_saved_model") == "tf_saved_model"


def test_a_signature_goes_there_and_back():
    leaf = keras.InputSpec(shape=(None, 3), dtype="int32", name="words")
    [found] = other_backend.decoded(other_backend.encoded([{"a": (leaf, [leaf])}]))
    first, [second] = found["a"]
    for one in (first, second):
        assert (one.shape, one.dtype, one.name) == ((None, 3), "int32", "words")
