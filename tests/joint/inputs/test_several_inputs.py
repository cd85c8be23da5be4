"""Members that read several entries of `x`, against plain Keras and NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss
from coloss.joint.export.write import signature_of
from coloss.joint.inputs.input_dropout import InputDropout

pytestmark = pytest.mark.backend

random = np.random.default_rng(0)
X = {
    "a": random.normal(size=(32, 3)).astype("float32"),
    "b": random.normal(size=(32, 2)).astype("float32"),
}
Y = random.integers(0, 3, 32)
HOLES = {name: values.copy() for name, values in X.items()}
HOLES["a"][:6] = np.nan
HOLES["b"][4:9] = np.nan
BOTH = np.arange(32) >= 9
LACKS_ALL = (np.arange(32) >= 4) & (np.arange(32) < 6)


def reader(*widths, names=None, seed=1):
    """Return a network of several inputs, in the order of `widths`."""
    inputs = [
        keras.Input((width,), name=None if names is None else names[place])
        for place, width in enumerate(widths)
    ]
    joined = keras.layers.Concatenate()(inputs) if len(inputs) > 1 else inputs[0]
    start = keras.initializers.GlorotUniform(seed)
    out = keras.layers.Dense(3, "softmax", name="out", kernel_initializer=start)
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], out(joined))


def joined(network=None, objective="all", compiled=True, **options):
    options = {"steps_per_execution": 1, **options}
    inputs = options.pop("inputs", coloss.Inputs("a", "b"))
    model = coloss.JointModel(
        {"a": reader(3, seed=2), "all": network or reader(3, 2)},
        inputs={"all": inputs},
    )
    if compiled:
        model.compile(
            keras.optimizers.SGD(0.5),
            "sparse_categorical_crossentropy",
            objective=objective,
            **options,
        )
    return model


def weights(model, name="all"):
    return np.concatenate([np.ravel(w) for w in model[name].get_weights()])


def plain(x, rows=slice(None), steps=1):
    """Return the weights of plain Keras after steps on some rows."""
    network = reader(3, 2)
    network.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    for _ in range(steps):
        network.train_on_batch([x["a"][rows], x["b"][rows]], Y[rows])
    return np.concatenate([np.ravel(w) for w in network.get_weights()])


def filled(x):
    return {name: np.nan_to_num(values) for name, values in x.items()}


def test_it_learns_as_plain_keras_does_from_both():
    model = joined()
    model.fit(X, Y, batch_size=32, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(model), plain(X, steps=3), atol=1e-6)


@pytest.mark.parametrize(
    ("missing", "seen"), [("drop", BOTH), ("zero", ~LACKS_ALL)], ids=["drop", "zero"]
)
def test_rows_that_lack_an_input(missing, seen):
    model = joined(inputs=coloss.Inputs("a", "b", missing=missing))
    model.fit(HOLES, Y, batch_size=32, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(model), plain(filled(HOLES), seen), atol=1e-6)
    output = model.predict(HOLES, verbose=0)["all"]
    np.testing.assert_array_equal(np.isnan(output).any(axis=1), ~seen)
    x = filled(HOLES)
    expected = keras.ops.convert_to_numpy(model["all"]([x["a"], x["b"]]))
    np.testing.assert_allclose(output[seen], expected[seen], atol=1e-6)
    counts = model.explain(HOLES, Y).rows["all"]
    assert counts["missing"] == int((~seen).sum())


def test_a_term_counts_on_the_rows_that_both_see():
    model = joined(
        objective="a + all + distill(all >> a, temperature=1)",
        inputs=coloss.Inputs("a", "b", missing="zero"),
    )
    logs = model.evaluate(HOLES, Y, verbose=0, return_dict=True)
    found = model.predict(HOLES, verbose=0)
    rows = ~np.isnan(HOLES["a"]).any(axis=1)
    learner, teacher = (found[name][rows].astype("float64") for name in ("a", "all"))
    expected = np.mean(np.sum(teacher * np.log(teacher / learner), axis=1))
    (term,) = (value for name, value in logs.items() if "distill" in name)
    np.testing.assert_allclose(term, expected, rtol=1e-5)


class Listed(keras.Model):
    """A subclassed network: it gets a list, in the order of the keys."""

    def __init__(self):
        super().__init__()
        self.inner = reader(2, 3)

    def call(self, inputs):
        return self.inner([inputs[1], inputs[0]])


@pytest.mark.parametrize("kind", ["named", "dict", "order", "subclassed"])
def test_by_name_or_in_order(kind):
    if kind == "dict":
        inputs = {"b": keras.Input((2,), name="b"), "a": keras.Input((3,), name="a")}
        both = keras.layers.Concatenate()([inputs["b"], inputs["a"]])
        made = keras.Model(inputs, keras.layers.Dense(3, "softmax")(both))
    elif kind == "subclassed":
        made = Listed()
    else:
        made = reader(2, 3, names=("b", "a")) if kind == "named" else reader(3, 2)
    model = joined(made)
    found = model.predict(X, verbose=0)["all"]
    given = {
        "named": [X["b"], X["a"]],
        "dict": X,
        "order": [X["a"], X["b"]],
        "subclassed": [X["a"], X["b"]],
    }[kind]
    expected = keras.ops.convert_to_numpy(made(given))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_keys_may_be_of_no_member_and_one_may_be_enough():
    model = coloss.JointModel(
        {"both": reader(3, 2), "twin": reader(3)},
        inputs={
            "both": coloss.Inputs("a", "b", missing="zero"),
            "twin": coloss.Inputs("a"),
        },
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    found = model.predict(X, verbose=0)
    expected = keras.ops.convert_to_numpy(model["twin"](X["a"]))
    np.testing.assert_allclose(found["twin"], expected, atol=1e-6)
    # With one of its inputs the first runs, and the other one does not.
    found = model.predict({"b": X["b"]}, verbose=0)
    assert list(found) == ["both"]
    zeros = np.zeros_like(X["a"])
    expected = keras.ops.convert_to_numpy(model["both"]([zeros, X["b"]]))
    np.testing.assert_allclose(found["both"], expected, atol=1e-6)


def test_a_sequential_network_may_read_another_key():
    layers = [keras.Input((3,)), keras.layers.Dense(3, "softmax")]
    model = coloss.JointModel(
        {"a": reader(3), "again": keras.Sequential(layers)},
        inputs={"again": coloss.Inputs("a")},
    )
    assert model.assembly.keys == ("a",)
    found = model.predict({"a": X["a"]}, verbose=0)["again"]
    expected = model["again"].predict(X["a"], verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_of_no_row_all_inputs_are_left_out():
    present = np.ones((4000, 3), "bool")
    present[:1000, 0] = False
    stays = keras.ops.convert_to_numpy(
        InputDropout().stays(keras.ops.convert_to_tensor(present), 0.5)
    )
    assert not np.any(stays & ~present)
    assert stays.any(axis=1).all()
    for rows, size in ((slice(1000), 2), (slice(1000, None), 3)):
        left_out = 1 - stays[rows].sum() / present[rows].sum()
        assert abs(left_out - (0.5 - 0.5**size / size)) < 0.03


def test_inputs_are_left_out_in_training_only_as_the_draws_say():
    inputs = coloss.Inputs("a", "b", missing="zero", dropout=0.5)
    model = joined(inputs=inputs)
    first = model.predict(X, verbose=0)["all"]
    np.testing.assert_array_equal(first, model.predict(X, verbose=0)["all"])
    draws = model.assembly.dropout
    before = keras.ops.convert_to_numpy(draws.seeds.state).copy()
    present = keras.ops.ones((32, 2), dtype="bool")
    stays = keras.ops.convert_to_numpy(draws.stays(present, 0.5))
    assert 0 < (~stays).sum() < 32
    draws.seeds.state.assign(before)
    model.fit(X, Y, batch_size=32, shuffle=False, verbose=0)
    x = {
        name: values * stays[:, [place]]
        for place, (name, values) in enumerate(X.items())
    }
    np.testing.assert_allclose(weights(model), plain(x), atol=1e-6)


def test_a_frozen_member_sees_everything():
    network = reader(3, 2)
    network.trainable = False
    inputs = coloss.Inputs("a", "b", missing="zero", dropout=0.9)
    model = joined(network, "a + distill(all >> a)", inputs=inputs)
    state = keras.ops.convert_to_numpy(model.assembly.dropout.seeds.state).copy()
    model.fit(X, Y, verbose=0)
    after = keras.ops.convert_to_numpy(model.assembly.dropout.seeds.state)
    np.testing.assert_array_equal(after, state)


def test_a_file_holds_the_inputs_and_the_random_state(tmp_path):
    inputs = coloss.Inputs("a", "b", missing="zero", dropout=0.5)
    model = joined(inputs=inputs)
    model.fit(X, Y, batch_size=16, verbose=0, shuffle=False)
    model.save(tmp_path / "joint.keras")
    loaded = keras.saving.load_model(tmp_path / "joint.keras")
    assert dict(loaded.assembly.inputs) == {"all": inputs}
    for one in (model, loaded):
        one.fit(X, Y, batch_size=16, epochs=2, verbose=0, shuffle=False)
    np.testing.assert_array_equal(weights(loaded), weights(model))
    model.export(tmp_path / "all.keras", member="all", verbose=False)
    alone = keras.saving.load_model(tmp_path / "all.keras")
    assert [one.shape for one in alone.inputs] == [(None, 3), (None, 2)]


def test_blocks_and_batches_of_a_stream_are_as_single_steps():
    def make(**options):
        keras.utils.set_random_seed(3)
        inputs = coloss.Inputs("a", "b", missing="zero", dropout=0.5)
        return joined(inputs=inputs, objective="a + all + cka(all >> a)", **options)

    class Stream(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, place):
            rows = slice(16 * place, 16 * place + 16)
            return {name: values[rows] for name, values in HOLES.items()}, Y[rows]

    options = {"epochs": 2, "verbose": 0, "shuffle": False}
    single, blocks, stream = make(), make(steps_per_execution="auto"), make()
    single.fit(HOLES, Y, batch_size=16, **options)
    blocks.fit(HOLES, Y, batch_size=16, **options)
    stream.fit(Stream(), **options)
    for name in ("a", "all"):
        np.testing.assert_allclose(
            weights(blocks, name), weights(single, name), atol=1e-6
        )
        np.testing.assert_allclose(
            weights(stream, name), weights(single, name), atol=1e-6
        )


def test_what_is_said_of_it():
    inputs = coloss.Inputs("a", "b", missing="zero", dropout=0.2)
    model = joined(inputs=inputs)
    words = "a, b; zeros where one is missing; each left out of 20 % of the rows"
    assert words in str(model.explain())
    said = []
    model.summary(print_fn=said.append)
    assert any(words in line for line in said)
    (signature,) = signature_of(model, "joint")
    assert {key: spec.shape for key, spec in signature.items()} == {
        "a": (None, 3),
        "b": (None, 2),
    }


@pytest.mark.parametrize(
    ("network", "inputs", "said"),
    [
        (None, {"al": coloss.Inputs("a")}, "no member 'al'; did you mean 'all'?"),
        (None, {"all": ("a", "b")}, "must be a coloss.Inputs"),
        ((5,), {"all": coloss.Inputs("a", "b")}, "has 1 input, and 2 keys are named"),
        (
            (3, 2),
            {"all": coloss.Inputs("a", "b"), "a": coloss.Inputs("all")},
            "reads other entries",
        ),
    ],
)
def test_what_is_refused_at_once(network, inputs, said):
    members = {"a": reader(3), "all": reader(*(network or (3, 2)))}
    with pytest.raises((TypeError, ValueError), match=said):
        coloss.JointModel(members, inputs=inputs)


def test_names_at_other_places_are_refused():
    with pytest.raises(ValueError, match="'b' stands at place 2, and the network's"):
        joined(reader(2, 3, names=("b", "other")))


@pytest.mark.parametrize(
    ("keys", "x", "said"),
    [
        (("a", "bb"), X, "reads 'bb', which is not there; did you mean 'b'?"),
        (("a", "b"), {**X, "c": X["a"]}, "no input 'c'"),
        (("b", "a"), X, r"input 'b' of 'all' has rows of shape \(2,\); expected \(3,"),
    ],
)
def test_what_is_refused_before_training(keys, x, said):
    with pytest.raises(ValueError, match=said):
        joined(inputs=coloss.Inputs(*keys)).fit(x, Y, verbose=0)


@pytest.mark.parametrize(
    ("keys", "options", "said"),
    [
        ((), {}, "names no entry"),
        ((["a", "b"],), {}, "are names"),
        (("a", "a"), {}, "'a' twice"),
        (("a",), {"missing": "zeros"}, "did you mean 'zero'"),
        (("a",), {"dropout": 1.0}, "up to, not including, 1"),
    ],
)
def test_inputs_are_checked(keys, options, said):
    with pytest.raises((TypeError, ValueError), match=said):
        coloss.Inputs(*keys, **options)
