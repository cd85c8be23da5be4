"""Networks as the file says them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss
from coloss.cli.config import parse
from coloss.cli.config.coefficients import as_schedule
from coloss.cli.errors import CliError
from coloss.cli.runs.networks import (
    build_joint,
    compile_joint,
    optimizer_of,
)
from coloss.data import Standardizer

BASE = """\
[data]
labels = "l.csv"
label = "y"
[members.a]
data = "a.csv"
{a}
[members.b]
data = "b.csv"
{b}
[objective]
text = "a + b + w*distill(b >> a)"
[coefficients]
w = {{ schedule = "ramp", start = 0, stop = 1, epochs = 2 }}
"""


def joint_of(tmp_path, a="", b="", shape=(6,), standardizers=None, more=""):
    config = parse(BASE.format(a=a, b=b) + more, "c.toml")
    shapes = {"a": shape, "b": (4,)}
    return config, build_joint(config, tmp_path, shapes, 3, standardizers or {})


def test_a_network_takes_the_files_own_numbers(tmp_path):
    random = np.random.default_rng(0)
    x = (300 + [1, 1, 5, 5, 0, 1e-3] * random.normal(size=(50, 6))).astype("float32")
    x[3] = np.nan
    _, joint = joint_of(tmp_path, standardizers={"a": Standardizer.of_last_axis(x)})
    layer = joint["a"].get_layer("standardize")
    expected = Standardizer.fit(x)(x)
    found = np.asarray(layer(x))
    np.testing.assert_allclose(found[:, :5], expected[:, :5], atol=2e-4)
    assert np.isnan(found[3]).all() and np.abs(found[:3, 4]).max() == 0  # Constant.
    joint["a"].save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras").get_layer("standardize")
    np.testing.assert_array_equal(np.asarray(again(x)), found)


def test_coefficients_may_be_trained():
    text = BASE.format(a="", b="").replace(
        'schedule = "ramp", start = 0, stop = 1, epochs = 2', "trainable = 0.5"
    )
    given = parse(text, "c.toml").coefficients["w"]
    assert as_schedule(given) == coloss.Trainable(0.5)
    with pytest.raises(CliError, match="trainable must be more than 0"):
        parse(text.replace("0.5", "-1"), "c.toml")


@pytest.mark.parametrize(
    "layers",
    [
        '{ kind = "dense", units = 5, activation = "gelu", l2 = 0.01 }',
        '{ kind = "layer_norm" }, { kind = "activation", activation = "tanh" }',
        '{ kind = "batch_norm" }, { kind = "gaussian_noise", stddev = 0.1 }',
        '{ kind = "reshape", target_shape = [3, 2] }, { kind = "lstm", units = 3 }',
        '{ kind = "reshape", target_shape = [3, 2] }, '
        '{ kind = "conv1d", filters = 4, kernel_size = 2 }, '
        '{ kind = "max_pool1d" }, { kind = "flatten" }',
        '{ kind = "reshape", target_shape = [6, 1] }, '
        '{ kind = "gru", units = 3, return_sequences = true }, '
        '{ kind = "global_average_pool1d" }, { kind = "dropout", rate = 0.5 }',
    ],
)
def test_every_kind_of_layer(tmp_path, layers):
    _, joint = joint_of(tmp_path, a=f"layers = [{layers}]")
    found = joint["a"](np.ones((2, 6), "float32"))
    np.testing.assert_allclose(np.asarray(found).sum(axis=1), 1, rtol=1e-5)


def test_saved_networks_are_checked_and_may_be_frozen(tmp_path):
    def save(*layers):
        keras.Sequential(list(layers)).save(tmp_path / "b.keras")

    dense = keras.layers.Dense
    save(keras.Input((4,)), dense(3, activation="softmax"))
    lines = 'model = "b.keras"\nfrozen = true'
    config, joint = joint_of(tmp_path, b=lines)
    assert not joint["b"].trainable and joint["a"].trainable
    notes = compile_joint(config, joint)
    assert "'b'" not in " ".join(notes) and float(joint.coefficients["w"].value) == 0
    for layers, message in (
        ((keras.Input((4,)), dense(2)), "has 2 outputs; the data needs 3"),
        ((keras.Input((5,)), dense(3)), r"takes rows of shape \(5,\); its data has"),
    ):
        save(*layers)
        with pytest.raises(CliError, match=message):
            joint_of(tmp_path, b=lines)
    with pytest.raises(CliError, match="there is no file"):
        joint_of(tmp_path, b='model = "none.keras"')


def test_layers_that_do_not_fit_are_told(tmp_path):
    with pytest.raises(CliError, match=r"members\.a\.layers do not fit"):
        joint_of(tmp_path, a='layers = [{ kind = "lstm", units = 3 }]')
    layers = '{ kind = "reshape", target_shape = [3, 2] }'
    with pytest.raises(CliError, match=r'Add \{ kind = "flatten" \}'):
        joint_of(tmp_path, a=f"layers = [{layers}]")


def test_optimizers_by_network(tmp_path):
    more = '[training]\noptimizer = "adamw"\nlearning_rate = 0.01\nweight_decay = 0.1\n'
    config, _ = joint_of(tmp_path, a="learning_rate = 0.5", more=more)
    given = optimizer_of(config)
    assert given["a"]["config"] == {"learning_rate": 0.5, "weight_decay": 0.1}
    assert given["*"]["class_name"] == "AdamW"
    assert isinstance(keras.optimizers.get(given["*"]), keras.optimizers.AdamW)
    config, joint = joint_of(tmp_path, more=more)
    compile_joint(config, joint)
    assert float(joint.optimizer.learning_rate) == pytest.approx(0.01)


def test_an_objective_that_trains_a_network_to_fail_is_noted(tmp_path):
    text = BASE.format(a="", b="").replace("a + b + w*distill(b >> a)", "w*(a - b)")
    text = text[: text.index("w = {")] + "w = 1.0\n"
    config = parse(text, "c.toml")
    joint = build_joint(config, tmp_path, {"a": (6,), "b": (4,)}, 3, {})
    assert any(
        "'b'" in note or "b to fail" in note for note in compile_joint(config, joint)
    )
    refusing = config.model_copy(
        update={"objective": config.objective.model_copy(update={"on_ascent": "raise"})}
    )
    with pytest.raises(CliError, match="cannot be trained"):
        compile_joint(refusing, joint)
    assert isinstance(joint, coloss.JointModel)
