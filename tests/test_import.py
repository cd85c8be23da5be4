"""`import coloss` is light, and finds the backend that is there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import coloss
from coloss import _backend

BLOCK = """
import importlib.abc, importlib.machinery, importlib.util, sys
hidden = {hidden!r}
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
find = importlib.util.find_spec
importlib.util.find_spec = (
    lambda name, *rest: None if name in hidden else find(name, *rest)
)
"""


def run(code, tmp_path, hidden=()):
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment.update(HOME=str(tmp_path), KERAS_HOME=str(tmp_path / ".keras"))
    return subprocess.run(
        [sys.executable, "-c", BLOCK.format(hidden=tuple(hidden)) + code],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_importing_parsing_and_explaining_needs_no_keras(tmp_path):
    code = (
        "import coloss\n"
        "found = coloss.Objective('a + w*(a - b)')\n"
        "assert found.explain(members=['a', 'b'], coefficients={'w': 1.0}).ascended\n"
        "coloss.recipes.learn_from('a', ['b']); coloss.Ramp(0, 1, epochs=3)\n"
        "coloss.data.load_digits_views(('mor',))\n"
        "print('keras' in sys.modules)"
    )
    done = run(code, tmp_path, hidden=["keras", "jax", "tensorflow", "torch"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_only_installed_backend_is_used(tmp_path, backend):
    hidden = {"jax", "tensorflow", "torch"} - {backend}
    code = "import coloss; coloss.JointModel; import keras\n"
    code += "print(keras.config.backend())"
    done = run(code, tmp_path, hidden)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(backend)


@pytest.mark.parametrize(
    "way",
    [
        "from coloss.joint import JointModel",
        "from coloss.transfer import cka",
        "import coloss.losses",
        "import coloss",
    ],
)
def test_every_way_in_finds_the_backend(tmp_path, way):
    code = f"{way}\nimport keras; print(keras.config.backend())"
    done = run(code, tmp_path, {"tensorflow", "jax"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("torch")


def test_without_a_backend_an_error_says_what_to_install(tmp_path):
    hidden = ["jax", "tensorflow", "torch"]
    done = run("import coloss; coloss.JointModel", tmp_path, hidden)
    assert done.returncode != 0
    assert 'pip install "coloss[jax]"' in done.stderr


@pytest.mark.parametrize(
    "way", ["import coloss; coloss.JointModel", "from coloss.joint import JointModel"]
)
@pytest.mark.parametrize(
    ("chosen", "parts"),
    [
        ("pytorch", ["KERAS_BACKEND=pytorch", "did you mean torch?"]),
        ("numpy", ["KERAS_BACKEND=numpy", "jax, tensorflow or torch"]),
        ("torch", ["not installed", 'pip install "coloss[torch]"', "BACKEND=jax"]),
    ],
)
def test_a_chosen_backend_that_cannot_be_used_is_refused(tmp_path, chosen, parts, way):
    code = f"import os; os.environ['KERAS_BACKEND'] = {chosen!r}; {way}"
    done = run(code, tmp_path, ["torch"])
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert all(part in last for part in parts), last


@pytest.mark.parametrize(
    ("installed", "configured", "expected"),
    [
        (("jax", "tensorflow", "torch"), None, "jax"),
        (("tensorflow", "torch"), None, "tensorflow"),
        (("torch",), "tensorflow", "torch"),
        # Keras writes "tensorflow" into its file by itself: no choice of the user's.
        (("jax", "tensorflow"), "tensorflow", "jax"),
        (("jax", "torch"), "torch", None),
        (("jax",), "torch", "jax"),
    ],
)
def test_the_rule(monkeypatch, installed, configured, expected):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(_backend, "_configured", lambda: configured)
    monkeypatch.setattr(_backend, "_installed", lambda name: name in installed)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    _backend.choose_backend()
    assert os.environ.get("KERAS_BACKEND") == expected
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"backend": "torch"}', "torch"),
        ('{"backend": ["torch"]}', None),
        ('["torch"]', None),
        ("{", None),
        (None, None),
    ],
)
def test_what_the_file_of_keras_says(monkeypatch, tmp_path, text, expected):
    if text is not None:
        (tmp_path / "keras.json").write_text(text)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert _backend._configured() == expected


def test_a_user_without_a_home_has_configured_nothing(monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert _backend._configured() is None


def test_a_set_backend_is_left_alone(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    _backend.choose_backend()
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_every_listed_name_exists():
    for name in dir(coloss):
        assert getattr(coloss, name) is not None, name
    assert "cli" in dir(coloss)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = coloss.nothing


def test_words_of_the_language_build_expressions():
    built = coloss.distill(coloss.loss("a") >> coloss.loss("b"), temperature=2)
    assert coloss.Objective("distill(a >> b, temperature=2)").expression == built


@pytest.mark.parametrize(
    ("backend", "given", "expected"),
    [
        ("jax", None, "2"),
        ("torch", None, "2"),
        ("tensorflow", None, "None"),
        ("jax", "0", "0"),
    ],
)
def test_tensorflow_is_quiet_where_it_is_a_guest(backend, given, expected):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    if given is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = given
    code = "import os, coloss; print(os.environ.get('TF_CPP_MIN_LOG_LEVEL'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == expected
