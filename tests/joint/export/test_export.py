"""What is deployed gives the same outputs, alone, and a refusal leaves nothing."""

from __future__ import annotations

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

from coloss.joint import JointModel
from coloss.joint.export import formats, other_backend, verify
from coloss.joint.export.formats import choose

pytestmark = pytest.mark.backend

OWN = keras.backend.backend()
RNG = np.random.default_rng(0)
SOUND = RNG.normal(size=(5, 6)).astype("float32")
WORDS = RNG.integers(0, 11, size=(5, 4)).astype("int32")
X = {"plain": SOUND, "mixed": [SOUND, WORDS], "helper": SOUND[:, :3]}
own_only = pytest.mark.skipif(OWN != "jax", reason="no backend is involved")


def plain():
    return keras.Sequential(
        [
            keras.Input((6,), name="sound"),
            keras.layers.Dense(8, "relu", name="hidden"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, "softmax"),
        ]
    )


def mixed():
    sound = keras.Input((6,), name="tone")
    words = keras.Input((4,), dtype="int32", name="words")
    read = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(11, 5)(words))
    # Its mean and variance are tensors, and no variables.
    scaled = keras.layers.Normalization(mean=np.arange(6.0), variance=np.full(6, 4.0))
    hidden = keras.layers.Concatenate()(
        [keras.layers.Dense(4, name="hidden")(scaled(sound)), read]
    )
    return keras.Model([sound, words], keras.layers.Dense(3, "softmax")(hidden))


@pytest.fixture(scope="module")
def joint():
    keras.utils.set_random_seed(0)
    helper = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(7, name="wide"),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    model = JointModel({"plain": plain(), "mixed": mixed(), "helper": helper})
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(),
        objective="plain + mixed + helper + hint(helper.wide >> plain.hidden)",
        on_ascent="allow",
    )
    model({name: _tensor(x) for name, x in X.items()})
    # As after training: moving statistics that are not those of the beginning.
    normal = model["plain"].layers[1]
    normal.set_weights([abs(RNG.normal(size=8)) + 0.5 for _ in range(4)])
    return model


def _tensor(x):
    return keras.tree.map_structure(keras.ops.convert_to_tensor, x)


def expected(joint, name, rows):
    x = X[name]
    x = [one[:rows] for one in x] if isinstance(x, list) else x[:rows]
    return keras.ops.convert_to_numpy(joint[name](x, training=False))


def run_onnx(path, *inputs):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


# --- what is written ---------------------------------------------------------------


def test_an_onnx_file_needs_its_own_input_only(joint, tmp_path, capsys):
    path = tmp_path / "plain.onnx"
    joint.export(path, member="plain")
    for rows in (1, 5):
        found = run_onnx(path, SOUND[:rows])
        np.testing.assert_allclose(found, expected(joint, "plain", rows), atol=1e-4)
    assert left_in(tmp_path) == ["plain.onnx"]
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "written by" in said and "random rows" in said
    # Neither the helper nor the projector to it.
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(path).graph
    shapes = [tuple(weight.dims) for weight in graph.initializer]
    assert (6, 8) in shapes
    assert not {(3, 7), (7, 3), (7, 8), (8, 7)} & set(shapes)
    assert len(graph.input) == 1


@pytest.mark.skipif(OWN == "jax", reason="costs one more process there")
def test_an_onnx_file_of_a_network_with_two_inputs(joint, tmp_path):
    path = tmp_path / "mixed.onnx"
    joint.export(path, "mixed", "onnx", verbose=False)
    for rows in (1, 5):
        found = run_onnx(path, SOUND[:rows], WORDS[:rows])
        np.testing.assert_allclose(found, expected(joint, "mixed", rows), atol=1e-4)


def test_a_saved_model(joint, tmp_path, capsys):
    tensorflow = pytest.importorskip("tensorflow")
    (tmp_path / "served").mkdir()
    joint.export(tmp_path / "served", member="mixed")
    loaded = tensorflow.saved_model.load(str(tmp_path / "served"))
    for rows in (1, 5):
        found = loaded.serve([SOUND[:rows], WORDS[:rows]]).numpy()
        np.testing.assert_allclose(found, expected(joint, "mixed", rows), atol=1e-4)
    writer = "tensorflow in a process of its own" if OWN == "torch" else OWN
    assert f"written by {writer}." in capsys.readouterr().out
    # A second time, over the first.
    if OWN != "torch":
        joint.export(tmp_path / "served", member="plain", verbose=False)
        loaded = tensorflow.saved_model.load(str(tmp_path / "served"))
        assert loaded.serve(SOUND).shape == (5, 3)
    assert left_in(tmp_path) == ["served"]


def test_a_keras_file_is_a_plain_model(joint, tmp_path, capsys):
    path = tmp_path / "new" / "plain.keras"
    joint.export(path, member="plain")
    joint.export(path, member="plain")
    loaded = keras.saving.load_model(path)
    assert type(loaded) is keras.Sequential
    found = keras.ops.convert_to_numpy(loaded(SOUND, training=False))
    np.testing.assert_allclose(found, expected(joint, "plain", 5), atol=1e-6)
    assert left_in(path.parent) == ["plain.keras"]
    assert f"written by {OWN}" in capsys.readouterr().out
    joint.export(tmp_path / "all.keras", verbose=False)
    whole = keras.saving.load_model(tmp_path / "all.keras")
    assert list(whole) == list(joint)


@pytest.mark.skipif(OWN != "tensorflow", reason="elsewhere it is another process")
def test_a_litert_file_takes_any_batch(joint, tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    path = tmp_path / "plain.tflite"
    joint.export(path, member="plain", verbose=False)
    with warnings.catch_warnings():
        # It is to move into a package of its own.
        warnings.simplefilter("ignore")
        run = tensorflow.lite.Interpreter(str(path)).get_signature_runner()
    [name] = run.get_input_details()
    for rows in (1, 5):
        [found] = run(**{name: SOUND[:rows]}).values()
        np.testing.assert_allclose(found, expected(joint, "plain", rows), atol=1e-4)


@pytest.mark.skipif(OWN != "torch", reason="elsewhere it is another process")
def test_a_torch_file_takes_any_batch(joint, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "mixed.pt2"
    joint.export(path, member="mixed", verbose=False)
    run = torch.export.load(path).module()
    for rows in (1, 5):
        found = run([torch.tensor(SOUND[:rows]), torch.tensor(WORDS[:rows])])
        found = found.detach().cpu().numpy()
        np.testing.assert_allclose(found, expected(joint, "mixed", rows), atol=1e-4)


@pytest.mark.skipif(OWN == "torch", reason="elsewhere it is another process")
def test_a_whole_joint_model_knows_missing_rows(tmp_path):
    tensorflow = pytest.importorskip("tensorflow")

    def network(width):
        return keras.Sequential([keras.Input((width,)), keras.layers.Dense(3)])

    model = JointModel({"a": network(6), "b": network(3)}, fuse="mean")
    model.compile(loss="mse")
    x = {"a": SOUND, "b": SOUND[:, :3].copy()}
    x["b"][2] = np.nan
    model.export(tmp_path / "served", verbose=False)
    loaded = tensorflow.saved_model.load(str(tmp_path / "served"))
    found, wanted = loaded.serve(x), model.predict(x, verbose=0)
    assert set(found) == set(wanted) == {"a", "b", "fused"}
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name].numpy(), value, atol=1e-5)
    assert np.isnan(wanted["b"][2]).all()
    with pytest.raises(ValueError, match="name one member"):
        model.export(tmp_path / "all.pt2")


def test_a_subclassed_network_after_it_saw_data(tmp_path):
    class Own(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.out = keras.layers.Dense(3)

        def call(self, inputs):
            return self.out(inputs)

    model = JointModel({"a": Own()})
    with pytest.raises(ValueError, match="a has no shapes yet"):
        model.export(tmp_path / "a.onnx", member="a", verbose=False)
    assert left_in(tmp_path) == []
    wanted = keras.ops.convert_to_numpy(model({"a": SOUND})["a"])
    if OWN != "jax":
        model.export(tmp_path / "a.onnx", member="a", backend=OWN, verbose=False)
        found = run_onnx(tmp_path / "a.onnx", SOUND)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        return
    # Its class is in no module: the other process could not have it.
    with pytest.raises(ValueError, match=r"cannot be imported in the process of tens"):
        model.export(tmp_path / "a.tflite", member="a")
    assert left_in(tmp_path) == []


# --- another process ---------------------------------------------------------------


@own_only
def test_a_layer_in_a_module_goes_to_the_other_process(tmp_path, monkeypatch):
    (tmp_path / "my_layers.py").write_text(
        "import keras\n\n\n"
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        return 2 * inputs\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import my_layers

    network = keras.Sequential(
        [keras.Input((6,)), my_layers.Twice(), keras.layers.Dense(3)]
    )
    assert other_backend.custom_objects(network) == [("my_layers", "Twice", "Twice")]
    model = JointModel({"a": network})
    model.export(tmp_path / "a.onnx", member="a", backend="tensorflow", verbose=False)
    wanted = keras.ops.convert_to_numpy(network(SOUND))
    np.testing.assert_allclose(run_onnx(tmp_path / "a.onnx", SOUND), wanted, atol=1e-4)
    monkeypatch.delitem(sys.modules, "my_layers")


@own_only
@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ('{"kind": "export", "error": "no such op"}', RuntimeError, "could not write"),
        ('{"kind": "load", "error": "no class"}', ValueError, "could not be loaded"),
        (None, RuntimeError, "killed on the way"),
    ],
)
def test_a_process_that_fails_leaves_nothing(
    joint, tmp_path, monkeypatch, answer, error, says
):
    (tmp_path / "plain.onnx").write_text("the old one")

    def run(command, cwd, env, **options):
        assert env["KERAS_BACKEND"] == "torch"
        if answer:
            (cwd / "answer.json").write_text(answer)
        return subprocess.CompletedProcess(command, 1, "", "killed on the way")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(error, match=says):
        joint.export(tmp_path / "plain.onnx", member="plain", backend="torch")
    assert left_in(tmp_path) == ["plain.onnx"]
    assert (tmp_path / "plain.onnx").read_text() == "the old one"


@own_only
def test_options_that_cannot_be_sent(joint, tmp_path):
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow and export there"):
        joint.export(
            tmp_path / "plain.tflite", member="plain", optimizations=[object()]
        )
    assert left_in(tmp_path) == []


# --- refusals ----------------------------------------------------------------------


def only(monkeypatch, *modules):
    monkeypatch.setattr(formats, "installed", lambda name: name in modules)


@own_only
def test_what_to_install_is_named(joint, monkeypatch, tmp_path):
    only(monkeypatch, "jax")
    with pytest.raises(RuntimeError, match="nothing that is installed") as caught:
        joint.export(tmp_path / "plain.onnx", member="plain")
    assert left_in(tmp_path) == []
    lines = [line.split("   ")[0].strip() for line in str(caught.value).split("\n")[1:]]
    assert lines == [
        "pip install jax2onnx",
        "pip install tensorflow tf2onnx onnx",
        "pip install torch onnx",
    ]
    with pytest.raises(RuntimeError, match="pip install tensorflow openvino"):
        choose("openvino", "jax")
    with pytest.raises(RuntimeError) as caught:
        choose("onnx", "jax", "torch")
    assert "tensorflow" not in str(caught.value)


@own_only
@pytest.mark.parametrize(
    ("name", "options", "error", "says"),
    [
        ("a.onnx", {"member": "plan"}, KeyError, "did you mean 'plain'"),
        ("a", {"member": "plain", "format": "onx"}, ValueError, "did you mean 'onnx'"),
        ("a.h5", {"member": "plain"}, ValueError, "pass `format=`"),
        ("a.onnx", {"format": "litert"}, ValueError, "ends in '.tflite'"),
        ("a.onnx", {"member": "plain", "backend": "tensorfow"}, ValueError, "did you"),
        ("a.pt2", {"member": "plain", "backend": "jax"}, ValueError, "do: torch"),
        ("a.keras", {"member": "plain", "opset_version": 3}, ValueError, "no option"),
    ],
)
def test_wrong_names(joint, tmp_path, name, options, error, says):
    with pytest.raises(error, match=says):
        joint.export(tmp_path / name, **options)
    assert left_in(tmp_path) == []


@own_only
def test_a_folder_of_something_else_is_not_replaced(joint, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds no SavedModel"):
        joint.export(tmp_path, member="plain")
    (tmp_path / "plain.onnx").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        joint.export(tmp_path / "plain.onnx", member="plain")
    assert left_in(tmp_path) == ["notes.txt", "plain.onnx"]


@pytest.mark.skipif(OWN == "jax", reason="costs a process there")
def test_other_outputs_are_refused(joint, tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "_random", lambda *_: np.zeros((1, 6), "float32"))
    other = keras.models.clone_model(joint["plain"])
    from coloss.joint.export import export as exporting

    real = exporting.write
    monkeypatch.setattr(exporting, "write", lambda model, *rest: real(other, *rest))
    other.set_weights([weight + 1 for weight in joint["plain"].get_weights()][::1])
    other.layers[-1].bias.assign([3.0, 0.0, -3.0])
    with pytest.raises(RuntimeError, match="gives other outputs than plain"):
        joint.export(tmp_path / "plain.onnx", member="plain", backend=OWN)
    assert left_in(tmp_path) == []
    joint.export(
        tmp_path / "plain.onnx",
        member="plain",
        backend=OWN,
        verify=False,
        verbose=False,
    )
    assert left_in(tmp_path) == ["plain.onnx"]


@own_only
def test_a_file_that_does_not_run_is_refused(joint, tmp_path, monkeypatch):
    from coloss.joint.export import export as exporting

    monkeypatch.setattr(
        exporting, "write_elsewhere", lambda *given: given[2].write_text("no graph")
    )
    with pytest.raises(RuntimeError, match="for plain does not run"):
        joint.export(tmp_path / "plain.onnx", member="plain", backend="torch")
    assert left_in(tmp_path) == []
