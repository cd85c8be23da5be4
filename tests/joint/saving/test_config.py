"""A joint model comes back from its file as it was, members by name."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel
from coloss.objective import ObjectiveWarning
from coloss.weighting import Cosine, Ramp

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 8
X = {name: RNG.normal(size=(ROWS, 4)).astype("float32") for name in "abc"}
Y = np.arange(ROWS) % 3
SPARSE = "sparse_categorical_crossentropy"
OBJECTIVE = "a + w*b + v*distill((b, c) >> a, temperature=2) + c - 0.1*square(b)"
FIT = {"batch_size": 4, "shuffle": False, "verbose": 0}


def compiled(deep, order="abc", **options):
    # All of one shape: what goes by position would be swapped without an error.
    members = {name: deep(4, seed=ord(name)) for name in order}
    model = JointModel(members, fuse="mean")
    model.compile(
        **{
            "optimizer": {"a": keras.optimizers.Adam(0.02), "*": "rmsprop"},
            "loss": {"a": SPARSE, "b": SPARSE, "c": SPARSE},
            "objective": OBJECTIVE,
            "coefficients": {"w": Ramp(0, 1, epochs=4), "v": 0.5},
            "metrics": ["accuracy"],
            "weighted_metrics": {"a": ["accuracy"]},
            "on_ascent": "allow",
            **options,
        }
    )
    return model


HOT = np.eye(3, dtype="float32")[Y]
DENSE = "categorical_crossentropy"


def by_name(model):
    return {name: member.get_weights() for name, member in model.members.items()}


def equal(first, second):
    assert set(first) == set(second)
    for name, weights in first.items():
        for one, other in zip(weights, second[name], strict=True):
            np.testing.assert_array_equal(one, other)


def number(model, name):
    return float(keras.ops.convert_to_numpy(model.coefficients[name].value))


def test_a_file_brings_everything_back(deep, tmp_path):
    f1 = keras.metrics.F1Score(average="macro")
    model = compiled(deep, loss=DENSE, weighted_metrics={"a": [f1]})
    model.fit(X, HOT, epochs=2, **FIT)
    model.coefficients["v"].assign(0.125)
    path = tmp_path / "joint.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert isinstance(loaded, JointModel)
    equal(by_name(model), by_name(loaded))
    assert list(loaded) == ["a", "b", "c"]
    assert loaded.fuse == "mean"
    assert str(loaded.objective) == str(model.objective)
    assert number(loaded, "v") == 0.125
    assert number(loaded, "w") == number(model, "w") == 0.25
    found = loaded.evaluate(X, HOT, verbose=0, return_dict=True)
    expected = model.evaluate(X, HOT, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-6)
    assert "a_f1_score" in found
    # Interrupted training is uninterrupted training.
    for one in (model, loaded):
        one.fit(X, HOT, epochs=4, initial_epoch=2, **FIT)
    assert number(loaded, "w") == number(model, "w") == 0.75
    equal(by_name(model), by_name(loaded))
    state = [keras.ops.convert_to_numpy(v.value) for v in model.optimizer.variables]
    assert len(state) > 12
    for variable, expected in zip(loaded.optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(variable.value), expected
        )


def test_weights_go_by_name_and_are_never_swapped(deep, tmp_path):
    model = compiled(deep, "abc")
    path = tmp_path / "joint.weights.h5"
    model.save_weights(path)
    other = compiled(deep, "cab")
    for member in other.members.values():
        member.set_weights([weight * 0 for weight in member.get_weights()])
    other.load_weights(path)
    equal(by_name(model), by_name(other))


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
def test_weights_of_other_members_are_refused(deep, tmp_path):
    model = JointModel({"a": deep(4), "b": deep(4)})
    path = tmp_path / "joint.weights.h5"
    model.save_weights(path)
    other = JointModel({"a": deep(4), "d": deep(4)})
    with pytest.raises(ValueError, match="file holds the members a, b; the joint"):
        other.load_weights(path)


def head(inputs, hidden):
    return keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden))


def share_a_layer():
    shared = keras.layers.Dense(5, "tanh", name="shared")
    inputs = [keras.Input((4,)), keras.Input((4,))]
    own = keras.layers.Dense(4, "relu")(inputs[1])
    return head(inputs[0], shared(inputs[0])), head(inputs[1], shared(own))


def share_a_network():
    body = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, "tanh", name="block")], name="shared"
    )
    inputs = keras.Input((4,))
    second = keras.Sequential(
        [keras.Input((4,)), body, keras.layers.Dense(3, "softmax")]
    )
    return head(inputs, body(inputs)), second


def share_inside_a_network():
    shared = keras.layers.Dense(5, "tanh", name="shared")
    members = []
    for _ in range(2):
        inner, outer = keras.Input((4,)), keras.Input((4,))
        body = keras.Model(inner, shared(inner), name="body")
        members.append(head(outer, body(outer)))
    return members


def share_everything():
    inputs = keras.Input((4,))
    network = head(inputs, keras.layers.Dense(5, "tanh")(inputs))
    return network, network


@pytest.mark.parametrize(
    "make", [share_a_layer, share_a_network, share_inside_a_network, share_everything]
)
def test_layers_that_members_share_are_shared_after_loading(make, tmp_path):
    model = JointModel(dict(zip("ab", make(), strict=True)))
    model.compile("adam", SPARSE, metrics=["accuracy"])
    x = {"a": X["a"], "b": X["b"]}
    model.fit(x, Y, **FIT)
    path = tmp_path / "joint.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    equal(by_name(model), by_name(loaded))
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    common = [
        {id(v) for v in one["a"].variables} & {id(v) for v in one["b"].variables}
        for one in (model, loaded)
    ]
    assert len(common[0]) == len(common[1]) >= 2
    for one in (model, loaded):
        one.fit(x, Y, **FIT)
    equal(by_name(model), by_name(loaded))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        return self.layer(inputs)


def test_sharing_that_a_file_cannot_hold_is_refused(tmp_path):
    shared = keras.layers.Dense(3, "softmax", name="shared")
    model = JointModel({"a": Subclassed(shared), "b": Subclassed(shared)})
    model({"a": X["a"], "b": X["b"]})
    with pytest.raises(ValueError, match="'a' shares its layer 'shared' with another"):
        model.save(tmp_path / "joint.keras")
    model.save_weights(tmp_path / "joint.weights.h5")


def test_a_member_alone_is_a_plain_keras_model(deep, tmp_path):
    model = compiled(deep)
    model.fit(X, Y, **FIT)
    path = tmp_path / "a.keras"
    model["a"].save(path)
    alone = keras.saving.load_model(path)
    assert type(alone) is type(model["a"])
    np.testing.assert_allclose(
        alone.predict(X["a"], verbose=0),
        model.predict(X, verbose=0)["a"],
        atol=1e-6,
    )


def test_a_plain_function_as_schedule_is_saved_as_its_value(deep, tmp_path):
    schedules = {"w": lambda epoch: 1 / (1 + epoch), "v": Cosine(1, 0, epochs=4)}
    model = compiled(deep, coefficients=schedules)
    model.fit(X, Y, epochs=2, **FIT)
    path = tmp_path / "joint.keras"
    with pytest.warns(ObjectiveWarning, match="'w' is a plain function"):
        model.save(path)
    loaded = keras.saving.load_model(path)
    assert number(loaded, "w") == 0.5
    history = loaded.fit(X, Y, epochs=4, initial_epoch=2, **FIT).history
    np.testing.assert_allclose(history["v"], [0.5, 0.5 - 0.5 * np.sqrt(0.5)], rtol=1e-5)
    assert "w" not in history


def test_the_configuration_makes_an_equal_model(deep):
    model = compiled(deep)
    config = model.get_config()
    again = JointModel.from_config(config)
    assert again.get_config() == config == model.get_config()
    assert list(again) == list(model)
    assert again.get_compile_config() is None
    again.compile_from_config(model.get_compile_config())
    assert str(again.objective) == str(model.objective)
    found, expected = again.get_compile_config(), model.get_compile_config()
    assert found["coefficients"] == expected["coefficients"]
    assert found["on_ascent"] == "allow"


def test_a_model_that_was_not_compiled_is_saved_too(deep, tmp_path):
    model = JointModel({"a": deep(4), "b": deep(4, seed=3)})
    path = tmp_path / "joint.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    equal(by_name(model), by_name(loaded))
    with pytest.raises(ValueError, match="compile"):
        loaded.fit(X, Y)


@keras.saving.register_keras_serializable("tests")
def first_of(outputs):
    return outputs["a"] * 1.0


@keras.saving.register_keras_serializable("tests")
def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def test_registered_functions_are_saved(deep, tmp_path):
    model = JointModel({"a": deep(4)}, fuse=first_of)
    model.compile("sgd", own_loss, metrics={"fused": ["mae"]})
    path = tmp_path / "joint.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    x = {"a": X["a"]}
    assert loaded.evaluate(x, HOT, verbose=0, return_dict=True) == pytest.approx(
        model.evaluate(x, HOT, verbose=0, return_dict=True)
    )
    assert loaded.fuse is first_of


def test_frozen_members_stay_frozen(deep, tmp_path):
    members = {"a": deep(4), "b": deep(4, seed=3)}
    members["b"].trainable = False
    model = JointModel(members)
    model.compile("adam", SPARSE)
    path = tmp_path / "joint.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert not loaded["b"].trainable
    assert loaded["a"].trainable
    before = loaded["b"].get_weights()
    loaded.fit({"a": X["a"], "b": X["b"]}, Y, **FIT)
    equal({"b": before}, {"b": loaded["b"].get_weights()})


def test_an_unknown_member_is_told_with_the_nearest():
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model = JointModel({"acoustic": net, "visual": net})
    with pytest.raises(KeyError, match=r"'acustic'.*'acoustic'.*visual"):
        model["acustic"]


def test_summary_shows_members_and_weights_leave_coefficients_out(deep):
    model = compiled(deep)
    lines = []
    model.summary(print_fn=lambda text, **options: lines.append(text))
    text = "\n".join(lines)
    assert f"Objective: {model.objective}" in text
    for name, member in model.members.items():
        assert f"Member: {name}" in text
        assert member.name in text
    assert f"{model['a'].count_params():,}" in text
    assert len(model.weights) == sum(len(m.weights) for m in model.members.values())
    own = {id(variable) for variable in model.coefficients.values()}
    assert not own & {id(weight) for weight in model.weights}
    unbuilt = JointModel({"a": keras.Sequential([keras.layers.Dense(3)])})
    unbuilt.summary(print_fn=lambda text, **options: None)
