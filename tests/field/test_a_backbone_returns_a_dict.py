"""A backbone returns a dict, and a term wants one of its tensors.

Kind: layers that return several tensors (dicts, lists, nested ones; nested networks,
layers and subclassed networks) as the place of an edge.

Report: tensorflow/hub#453 (the intermediate outputs of a backbone, handed out as a
dict). As the place of an edge: found by trying.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

from . import numpy_terms as terms

pytestmark = pytest.mark.backend

layers = keras.layers
ROWS = 6
random = np.random.default_rng(1)
X = random.normal(size=(ROWS, 4)).astype("float32")
TOKENS = random.integers(1, 9, (ROWS, 3))
TOKENS[2:, 2] = 0
Y = np.arange(ROWS) % 3
SPARSE = "sparse_categorical_crossentropy"


@keras.saving.register_keras_serializable(package="field")
class Both(layers.Layer):
    """Returns two tensors, in the way that it is told."""

    def __init__(self, how, **options):
        super().__init__(**options)
        self.how = how

    def call(self, inputs):
        first, second = inputs * 2.0, keras.ops.tanh(inputs)
        return {
            "dict": {"low": first, "last hidden": second},
            "tuple": (first, second),
            "nested": {"levels": [first, second]},
            "one": {"last hidden": second},
        }[self.how]


def of_layer(how):
    keys = {"dict": ("last hidden",), "tuple": (1,), "nested": ("levels", 1)}
    inputs = keras.Input((4,))
    found = Both(how, name="backbone")(inputs)
    for key in keys.get(how, ("last hidden",)):
        found = found[key]
    return keras.Model(inputs, layers.Dense(3, "softmax")(found))


def of_network():
    inner = keras.Input((4,))
    hidden = layers.Activation("tanh")(inner)
    outputs = {"last hidden": hidden, "low": layers.Rescaling(2.0)(inner)}
    backbone = keras.Model(inner, outputs, name="backbone")
    inputs = keras.Input((4,))
    found = backbone(inputs)["last hidden"]
    return keras.Model(inputs, layers.Dense(3, "softmax")(found))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.backbone = Both("dict")
        self.head = layers.Dense(3, "softmax")

    def call(self, inputs):
        return self.head(self.backbone(inputs)["last hidden"])


def plain():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, "tanh", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(3, "softmax")(hidden))


PLACES = {
    "layer, dict": (lambda: of_layer("dict"), 'a.backbone["last hidden"]'),
    "layer, tuple": (lambda: of_layer("tuple"), 'a.backbone["1"]'),
    "layer, nested": (lambda: of_layer("nested"), 'a.backbone.levels["1"]'),
    "layer, dict of one": (lambda: of_layer("one"), 'a.backbone["last hidden"]'),
    "network": (of_network, 'a.backbone["last hidden"]'),
    "subclassed": (Subclassed, 'a.backbone["last hidden"]'),
}


def joined(member, port):
    model = coloss.JointModel({"a": member, "b": plain()})
    model.compile("sgd", SPARSE, objective=f"a + b + cka(b.hidden >> {port})")
    return model


@pytest.mark.parametrize("kind", PLACES)
def test_one_tensor_of_several_by_its_key(kind):
    make, port = PLACES[kind]
    model = joined(make(), port)
    logs = model.test_on_batch({"a": X, "b": X}, Y, return_dict=True)
    kernel, bias = (w.astype(float) for w in model["b"].get_weights()[:2])
    expected = terms.cka(np.tanh(X.astype(float)), np.tanh(X @ kernel + bias))
    assert logs[f"cka(b.hidden >> {port})"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("port", "sentence"),
    [
        ("a.backbone.last_hidden", r"nothing named 'last_hidden'.*'last hidden'"),
        (
            'a.backbone["last hidden"].more',
            r"nothing named 'more' .it returns one tens",
        ),
        ("a.backbon", r"`a` has no layer 'backbon'.*'backbone'"),
        ("b.hidden.more", r"`b\.hidden` has no layer 'more'"),
    ],
)
@pytest.mark.parametrize("make", [lambda: of_layer("dict"), of_network])
def test_a_wrong_key_is_refused_at_compile(make, port, sentence):
    model = coloss.JointModel({"a": make(), "b": plain()})
    with pytest.raises(ValueError, match=sentence):
        model.compile("sgd", SPARSE, objective=f"a + b + cka(b.hidden >> {port})")


def test_without_a_key_the_keys_are_named():
    choices = r'a\.backbone\["last hidden"\].*a\.backbone\.low'
    with pytest.raises(ValueError, match=rf"returns a dict.*{choices}"):
        joined(of_network(), "a.backbone")
    member = Subclassed()
    member(X)
    model = joined(member, "a.backbone")
    choices = r'a\.backbone\.low, a\.backbone\["last hidden"\]'
    with pytest.raises(ValueError, match=rf"returns a dict.*{choices}"):
        model.train_on_batch({"a": X, "b": X}, Y)


def test_the_mask_of_one_tensor_of_several():
    inner = keras.Input((3,), dtype="int32")
    found = layers.Embedding(9, 4, mask_zero=True)(inner)
    outputs = {"tokens": layers.Dense(5)(found), "raw": found}
    inputs = keras.Input((3,), dtype="int32")
    got = keras.Model(inner, outputs, name="backbone")(inputs)["tokens"]
    head = layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(got))
    member = keras.Model(inputs, head)
    model = joined(member, "a.backbone.tokens")
    logs = model.test_on_batch({"a": TOKENS, "b": X}, Y, return_dict=True)
    table, kernel, bias = (w.astype(float) for w in member.get_weights()[:3])
    own = [(table[row[row > 0]] @ kernel + bias).mean(0) for row in TOKENS]
    weights = [w.astype(float) for w in model["b"].get_weights()[:2]]
    expected = terms.cka(np.stack(own), np.tanh(X @ weights[0] + weights[1]))
    assert logs["cka(b.hidden >> a.backbone.tokens)"] == pytest.approx(expected, 1e-4)


def test_saved_and_loaded(tmp_path):
    model = joined(of_network(), 'a.backbone["last hidden"]')
    before = model.test_on_batch({"a": X, "b": X}, Y, return_dict=True)
    model.save(tmp_path / "joint.keras")
    again = keras.saving.load_model(tmp_path / "joint.keras")
    after = again.test_on_batch({"a": X, "b": X}, Y, return_dict=True)
    assert after["loss"] == pytest.approx(before["loss"], rel=1e-6)
