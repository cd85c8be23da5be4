"""Terms read layers by name, of every kind of network, in its one forward pass."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel
from coloss.joint.outputs.layer_outputs import find_layer

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 6
X = RNG.normal(size=(ROWS, 4)).astype("float32")
Y = np.arange(ROWS) % 3
SPARSE = "sparse_categorical_crossentropy"


def dense(units, name=None, activation=None, seed=0):
    return keras.layers.Dense(
        units,
        activation,
        name=name,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
    )


def functional(hidden="hidden", seed=0):
    inputs = keras.Input((4,))
    outputs = dense(3, "out", "softmax", seed + 1)(
        dense(5, hidden, "tanh", seed)(inputs)
    )
    return keras.Model(inputs, outputs)


def sequential(built, seed=0):
    layers = [dense(5, "hidden", "tanh", seed), dense(3, "out", "softmax", seed + 1)]
    return keras.Sequential([keras.Input((4,)), *layers] if built else layers)


def nested(seed=0):
    inner = keras.Input((4,))
    outer = keras.Input((4,))
    body = keras.Model(inner, dense(5, "block_1", "tanh", seed)(inner), name="encoder")
    return keras.Model(outer, dense(3, "out", "softmax", seed + 1)(body(outer)))


class Subclassed(keras.Model):
    """Layers whose names are not those of their attributes."""

    def __init__(self, seed=0):
        super().__init__()
        self.body = dense(5, "some_dense", "tanh", seed)
        self.head = dense(3, "other_dense", "softmax", seed + 1)

    def call(self, inputs):
        return self.head(self.body(inputs))


class Counting(keras.layers.Layer):
    """Passes its input on, and keeps count of calls and of `training`."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []

    def call(self, inputs, training=None):
        self.seen.append(training)
        return inputs * 1.0


def hidden_of(member, x):
    """Return the tanh layer's output in float64, from the weights alone."""
    kernel, bias = (np.asarray(w, "float64") for w in member.get_weights()[:2])
    return np.tanh(x @ kernel + bias)


def cka(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    norms = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return 1 - np.linalg.norm(a.T @ b) ** 2 / norms


KINDS = {
    "functional": (functional, "a.hidden"),
    "sequential": (lambda: sequential(True), "a.hidden"),
    "unbuilt sequential": (lambda: sequential(False), "a.hidden"),
    "nested": (nested, "a.encoder.block_1"),
    "a whole nested network": (nested, "a.encoder"),
    "subclassed, by attribute": (Subclassed, "a.body"),
    "subclassed, by layer name": (Subclassed, "a.some_dense"),
    "name that is no identifier": (lambda: functional("block-1"), 'a["block-1"]'),
}


def logged(model, x, y):
    return model.test_on_batch(x, y, return_dict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_of_every_kind_of_network_is_read(kind):
    make, port = KINDS[kind]
    members = {"a": make(), "b": functional(seed=7)}
    model = JointModel(members)
    term = f"cka(b.hidden >> {port})"
    model.compile("sgd", SPARSE, objective=f"a + b + {term}")
    logs = logged(model, {"a": X, "b": X}, Y)
    expected = cka(hidden_of(members["a"], X), hidden_of(members["b"], X))
    found = next(value for name, value in logs.items() if name.startswith("cka"))
    assert found == pytest.approx(expected, abs=1e-5)
    model.fit({"a": X, "b": X}, Y, verbose=0)
    # Nothing stays behind on the layers.
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


def test_an_unknown_layer_lists_those_there_are():
    model = JointModel({"a": functional(), "b": nested()})
    with pytest.raises(ValueError, match="`a` has no layer 'hiden'") as caught:
        model.compile("sgd", SPARSE, objective="a + cka(b.encoder >> a.hiden)")
    message = str(caught.value)
    assert "'hidden'" in message.split("(")[0]
    assert all(name in message.split("(", 1)[1] for name in ("hidden", "out"))
    with pytest.raises(ValueError, match=r"`b\.encoder` has no layer 'block_2'"):
        model.compile("sgd", SPARSE, objective="a + cka(b.encoder.block_2 >> a.out)")


def test_a_layer_name_goes_before_an_attribute():
    member = functional("trainable_dense")
    member.hidden = member.get_layer("out")
    assert find_layer("a", member, ("hidden",)).name == "out"
    assert find_layer("a", functional(), ("hidden",)).name == "hidden"


def test_a_layer_called_twice_is_refused():
    twice = dense(4, "twice", "tanh")
    inputs = keras.Input((4,))
    member = keras.Model(inputs, dense(3, "out", "softmax")(twice(twice(inputs))))
    model = JointModel({"a": member, "b": functional()})
    model.compile("sgd", SPARSE, objective="a + b + sp(b.hidden >> a.twice)")
    with pytest.raises(ValueError, match=r"layer `a\.twice` is called 2 times"):
        model.train_on_batch({"a": X, "b": X}, Y)
    assert "call" not in vars(twice)


def counted(count):
    inputs = keras.Input((4,))
    hidden = dense(5, "hidden", "tanh")(count(inputs))
    return keras.Model(inputs, dense(3, "out", "softmax", 1)(hidden))


def test_one_forward_pass_a_step_in_the_right_mode():
    counts = {"a": Counting(name="count"), "b": Counting(name="count")}
    model = JointModel({name: counted(layer) for name, layer in counts.items()})
    model.compile(
        "sgd",
        SPARSE,
        objective="a + b + distill(b >> a) + mutual(a, b) + relu(a - stop(b))"
        " + cka(b.hidden >> a.hidden) + sp(b.hidden >> a.hidden) + sp(b >> a)",
        metrics=["accuracy"],
    )
    x = {"a": X, "b": X}
    # Compiled steps run their Python code once, the first time.
    for run, mode in (
        (lambda: model.train_on_batch(x, Y), True),
        (lambda: model.test_on_batch(x, Y), False),
        (lambda: model.predict_on_batch(x), False),
    ):
        before = {name: layer.seen[:] for name, layer in counts.items()}
        run()
        for name, layer in counts.items():
            new = layer.seen[len(before[name]) :]
            # `train_on_batch` and its kin look at shapes first, symbolically; there
            # `training` is not set.
            real = [bool(value) for value in new if value is not None]
            assert real == [mode], (name, new)


def test_a_layer_that_two_members_share_is_read_in_each():
    shared = dense(5, "shared", "tanh")

    def member(seed):
        inputs = keras.Input((4,))
        return keras.Model(inputs, dense(3, None, "softmax", seed)(shared(inputs)))

    model = JointModel({"a": member(1), "b": member(2)})
    model.compile("sgd", SPARSE, objective="a + b + cka(b.shared >> a.shared)")
    other = X[::-1].copy()
    logs = logged(model, {"a": X, "b": other}, Y)
    expected = cka(hidden_of(model["a"], X), hidden_of(model["a"], other))
    assert expected > 0.01
    assert logs["cka(b.shared >> a.shared)"] == pytest.approx(expected, abs=1e-5)


def test_dropout_is_on_in_training_and_off_in_evaluation():
    inputs = keras.Input((4,))
    dropped = keras.layers.Dropout(0.5, seed=1, name="drop")(inputs)
    member = keras.Model(inputs, dense(3, None, "softmax")(dropped))
    model = JointModel({"a": member, "b": functional()})
    model.compile(
        keras.optimizers.SGD(0.0), SPARSE, objective="a + sp(b.hidden >> a.drop)"
    )
    x = {"a": X, "b": X}

    def term():
        name = "sp(b.hidden >> a.drop)"
        value = model.train_on_batch(x, Y, return_dict=True)[name]
        model.reset_metrics()
        return float(value)

    evaluated = [float(logged(model, x, Y)["a"]) for _ in range(2)]
    assert evaluated[0] == evaluated[1]
    assert len({term() for _ in range(3)}) == 3


def test_a_tap_that_is_no_single_tensor_is_refused():
    class Two(keras.layers.Layer):
        def call(self, inputs):
            return inputs, inputs

    inputs = keras.Input((4,))
    first, _ = Two(name="two")(inputs)
    member = keras.Model(inputs, dense(3, None, "softmax")(first))
    model = JointModel({"a": member, "b": functional()})
    model.compile("sgd", SPARSE, objective="a + b + sp(b.hidden >> a.two)")
    with pytest.raises(ValueError, match=r"`a\.two` returns a tuple"):
        model.train_on_batch({"a": X, "b": X}, Y)
