"""Networks that share a layer cannot be loaded; a loaded optimizer has forgotten.

Sharing: of the kind of keras-team/keras#9571 ("Shared layers in submodels are
duplicated when serialized") and keras-team/keras#19326 ("IndexError when loading a
model with shared sub-models"). The frozen teacher was found by trying.

| neighbors | |
|---|---|
| members that share | 2, 3, 4 |
| what | a layer with weights, one with statistics, one without, a nested network, two |
| where | first, in the middle, last |
| kinds of members | Functional, Sequential, both |
| frozen | by the member, by its layers; one optimizer, one a member |
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend
WIDTH, ROWS = 4, 6


def stacked(layers, kind, width=WIDTH):
    if kind == "sequential":
        return keras.Sequential([keras.Input((width,)), *layers])
    inputs = hidden = keras.Input((width,))
    for layer in layers:
        hidden = layer(hidden)
    return keras.Model(inputs, hidden)


def nested():
    return stacked([keras.layers.Dense(WIDTH, "tanh")], "functional")


SHARED = {
    "dense": lambda: [keras.layers.Dense(WIDTH, "tanh")],
    "statistics": lambda: [keras.layers.BatchNormalization()],
    "no weights": lambda: [keras.layers.Activation("tanh")],
    "nested": lambda: [nested()],
    "two": lambda: [
        keras.layers.Dense(WIDTH, "tanh"),
        keras.layers.LayerNormalization(),
    ],
}


def sharing(number, what, where, kinds):
    shared = SHARED[what]()
    members = {}
    for place in range(number):
        own = keras.layers.Dense(WIDTH, "relu")
        layers = [own, *shared] if where == "middle" else [*shared, own]
        end = keras.layers.Dense(3, "softmax")
        layers = [own, end, *shared] if where == "last" else [*layers, end]
        if where == "last":
            layers[1] = keras.layers.Dense(WIDTH, "softmax")
        members[f"m{place}"] = stacked(layers, kinds[place % len(kinds)])
    return coloss.JointModel(members)


def inputs(members):
    random = np.random.default_rng(0)
    return {n: random.normal(size=(ROWS, WIDTH)).astype("float32") for n in members}


CELLS = [
    (number, what, where, kinds)
    for number in (2, 3, 4)
    for what in SHARED
    for where in ("first", "middle", "last")
    for kinds in (("functional",), ("sequential",), ("functional", "sequential"))
    # Three members are the fewest that failed; the other axes cross in the middle.
    if (number == 3 and (what == "dense" or where == "middle"))
    or (what, where) == ("dense", "middle")
]


@pytest.mark.parametrize(("number", "what", "where", "kinds"), CELLS)
def test_networks_that_share_layers_come_back(number, what, where, kinds, tmp_path):
    joint = sharing(number, what, where, kinds)
    path = tmp_path / "joint.keras"
    joint.save(path)
    loaded = keras.saving.load_model(path)
    x = inputs(joint)
    for name in joint:
        expected = keras.ops.convert_to_numpy(joint[name](x[name]))
        found = keras.ops.convert_to_numpy(loaded[name](x[name]))
        np.testing.assert_array_equal(found, expected)
    # Shared before, shared after: as many different variables.
    for weights in ("variables", "trainable_variables"):
        before = {id(v) for m in joint.members.values() for v in getattr(m, weights)}
        after = {id(v) for m in loaded.members.values() for v in getattr(m, weights)}
        assert len(after) == len(before)
    config = joint.get_config()
    assert list(coloss.JointModel.from_config(config)) == list(joint)


def by_member(member):
    member.trainable = False


def by_layers(member):
    for layer in member.layers:
        layer.trainable = False


@pytest.mark.parametrize("kind", ["functional", "sequential"])
@pytest.mark.parametrize("freeze", [by_member, by_layers])
@pytest.mark.parametrize("each", [False, True], ids=["one optimizer", "by member"])
def test_a_frozen_teacher_does_not_cost_the_learners_optimizer(
    kind, freeze, each, tmp_path
):
    keras.utils.set_random_seed(0)
    make = lambda: stacked(  # noqa: E731
        [keras.layers.Dense(5, "tanh"), keras.layers.Dense(3, "softmax")], kind
    )
    joint = coloss.JointModel({"learner": make(), "teacher": make()})
    freeze(joint["teacher"])
    adam = keras.optimizers.Adam
    joint.compile(
        optimizer={"learner": adam(0.01), "*": adam(0.1)} if each else adam(0.01),
        loss={"learner": "sparse_categorical_crossentropy"},
        objective="learner + distill(teacher >> learner)",
    )
    x, y = inputs(joint), np.arange(ROWS) % 3
    options = {"batch_size": ROWS, "verbose": 0, "shuffle": False}
    joint.fit(x, {"learner": y}, epochs=3, **options)
    path = tmp_path / "joint.keras"
    joint.save(path)
    loaded = keras.saving.load_model(path)

    def state(model):
        return [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]

    before, after = state(joint), state(loaded)
    assert len(after) == len(before)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(other, one)
    # And it goes on as the one that was not saved.
    first = joint.fit(x, {"learner": y}, epochs=2, **options).history["loss"]
    second = loaded.fit(x, {"learner": y}, epochs=2, **options).history["loss"]
    np.testing.assert_allclose(second, first, rtol=1e-6)
