"""My network ends in a plain Dense layer, and the loss wants probabilities.

Nothing is said, training goes on, to something else. Reported in keras-team/keras-hub
pull request #1008 ("Try adding an error if activation and loss are mismatched"), and
the other way round in mmalekzadeh/dana issue #1 (a softmax under `from_logits=True`).

The table: what a network ends in, times the loss, times `from_logits`. What layers
show is a warning at `compile`; what values prove is an error before the first step.
"""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import layers, losses

import coloss

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS, WIDTH, CLASSES = 12, 4, 3
X = RNG.normal(size=(ROWS, WIDTH)).astype("float32")
INTEGERS = np.arange(ROWS) % CLASSES
ONE_HOT = np.eye(CLASSES, dtype="float32")[INTEGERS]

LOSSES = {
    "sparse": (losses.SparseCategoricalCrossentropy, INTEGERS),
    "dense": (losses.CategoricalCrossentropy, ONE_HOT),
    "focal": (losses.CategoricalFocalCrossentropy, ONE_HOT),
    "binary": (losses.BinaryCrossentropy, ONE_HOT),
    "binary focal": (losses.BinaryFocalCrossentropy, ONE_HOT),
}


def dense(activation=None, units=CLASSES):
    return layers.Dense(units, activation, name="out")


def sequence(*after):
    return keras.Sequential([keras.Input((WIDTH,)), *after])


def functional(make):
    inputs = keras.Input((WIDTH,))
    return keras.Model(inputs, make(inputs))


@keras.saving.register_keras_serializable(package="field")
class Own(keras.Model):
    """A subclassed network: what it ends in is not visible."""

    def __init__(self, activation=None, **options):
        super().__init__(**options)
        self.activation, self.dense = activation, layers.Dense(CLASSES)

    def call(self, inputs):
        outputs = 3 * self.dense(inputs)
        return outputs if self.activation is None else self.activation(outputs)


# What each ends in: "probabilities", "real" numbers, "logarithms" of probabilities
# (logits, as their softmax is what they are logarithms of), or "unknown".
HEADS = {
    "softmax": ("probabilities", lambda: sequence(dense("softmax"))),
    "sigmoid": ("probabilities", lambda: sequence(dense("sigmoid"))),
    "hard sigmoid": ("probabilities", lambda: sequence(dense("hard_sigmoid"))),
    "Activation layer": (
        "probabilities",
        lambda: sequence(dense(), layers.Activation("softmax")),
    ),
    "Softmax layer": ("probabilities", lambda: sequence(dense(), layers.Softmax())),
    "dropout behind softmax": (
        "probabilities",
        lambda: sequence(dense("softmax"), layers.Dropout(0.1)),
    ),
    "nested softmax": (
        "probabilities",
        lambda: functional(lambda x: sequence(dense("softmax"))(x)),
    ),
    "softmax function": (
        "probabilities",
        lambda: functional(lambda x: keras.ops.softmax(dense()(x))),
    ),
    "mean of two softmax": (
        "probabilities",
        lambda: functional(
            lambda x: layers.Average()(
                [dense("softmax")(x), layers.Softmax()(x[:, 1:])]
            )
        ),
    ),
    "linear": ("real", lambda: sequence(dense())),
    "linear, not built": ("real", lambda: keras.Sequential([dense()])),
    "nested linear": (
        "real",
        lambda: keras.Sequential([keras.Input((WIDTH,)), sequence(dense())]),
    ),
    "reshaped linear": (
        "real",
        lambda: functional(lambda x: keras.ops.reshape(dense()(x), (-1, CLASSES))),
    ),
    "dtype and identity": (
        "real",
        lambda: sequence(dense(), layers.Activation("linear", dtype="float32")),
    ),
    "relu": ("real", lambda: sequence(dense("relu"))),
    "ReLU layer": ("real", lambda: sequence(dense(), layers.ReLU())),
    "tanh": ("real", lambda: sequence(dense("tanh"))),
    "normalized": ("real", lambda: sequence(dense(), layers.LayerNormalization())),
    "log softmax": ("logarithms", lambda: sequence(dense("log_softmax"))),
    "subclassed": ("unknown", Own),
    "own activation": ("unknown", lambda: sequence(dense(lambda x: x))),
    "Lambda": ("unknown", lambda: sequence(dense(), layers.Lambda(lambda x: x))),
}


def expected_warning(ends_in, from_logits):
    if from_logits:
        return "expects logits" if ends_in == "probabilities" else None
    return "expects probabilities" if ends_in in ("real", "logarithms") else None


def compiled(network, loss):
    """Return a compiled joint model, and what `compile` warned of."""
    joint = coloss.JointModel({"main": network})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        joint.compile("sgd", loss)
    return joint, [w for w in caught if w.category is coloss.ObjectiveWarning]


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("head", HEADS)
def test_what_layers_show_is_told_at_compile(head, loss, from_logits):
    ends_in, make = HEADS[head]
    joint, caught = compiled(make(), LOSSES[loss][0](from_logits=from_logits))
    part = expected_warning(ends_in, from_logits)
    assert len(caught) == (part is not None)
    if part is None:
        return
    message = str(caught[0].message)
    assert part in message and "'main'" in message and "activation" in message
    assert "from_logits=True" in message
    assert caught[0].filename == __file__
    assert message in joint.explain().warnings


@pytest.mark.parametrize("loss", ["mse", "hinge", lambda y, p: keras.ops.sum(p, -1)])
@pytest.mark.parametrize("head", ["softmax", "linear", "subclassed"])
def test_other_losses_expect_neither(head, loss):
    assert compiled(HEADS[head][1](), loss)[1] == []


@pytest.mark.parametrize(
    ("units", "warned"), [(1, True), (2, False)], ids=["one output", "two"]
)
def test_a_softmax_over_one_output_is_always_one(units, warned):
    _, caught = compiled(sequence(dense("softmax", units)), "binary_crossentropy")
    assert len(caught) == warned
    assert not warned or "'sigmoid'" in str(caught[0].message)


WAYS = {
    "fit": lambda joint, x, y: joint.fit(x, y, verbose=0),
    "evaluate": lambda joint, x, y: joint.evaluate(x, y, verbose=0),
    "train_on_batch": lambda joint, x, y: joint.train_on_batch(x, y),
    "test_on_batch": lambda joint, x, y: joint.test_on_batch(x, y),
    "explain": lambda joint, x, y: joint.explain(x, y),
}


@pytest.mark.parametrize("head", ["linear", "nested linear", "subclassed", "Lambda"])
@pytest.mark.parametrize("loss", LOSSES)
def test_what_values_prove_is_an_error_before_a_step(loss, head):
    make, y = LOSSES[loss]
    joint, _ = compiled(HEADS[head][1](), make())
    joint({"main": X})
    before = joint.get_weights()
    with pytest.raises(ValueError, match=r"'main' expects probabilities.*range"):
        joint.fit({"main": X}, y, verbose=0)
    for one, other in zip(before, joint.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_looks_at_values(way):
    joint, _ = compiled(Own(), "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="'main' expects probabilities"):
        WAYS[way](joint, {"main": X}, INTEGERS)


@pytest.mark.parametrize("way", ["evaluate", "test_on_batch"])
@pytest.mark.parametrize(
    ("loss", "activation", "told"),
    [
        ("sparse", keras.ops.softmax, True),
        ("dense", keras.ops.softmax, True),
        ("sparse", keras.ops.relu, False),
        ("dense", None, False),
        # A yes/no output between 0 and 1 may be a logit.
        ("binary", keras.ops.sigmoid, False),
    ],
)
def test_rows_that_sum_to_one_are_no_logits(loss, activation, told, way):
    make, y = LOSSES[loss]
    joint, _ = compiled(Own(activation), make(from_logits=True))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        WAYS[way](joint, {"main": X}, y)
    found = [w for w in caught if w.category is coloss.ObjectiveWarning]
    assert len(found) == told
    assert not told or "sum to 1" in str(found[0].message)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("from_logits", [False, True])
def test_where_head_and_loss_agree_the_loss_is_that_of_keras(loss, from_logits):
    make, y = LOSSES[loss]
    activation = "sigmoid" if loss.startswith("binary") else "softmax"
    network = sequence(dense(None if from_logits else activation))
    joint, caught = compiled(network, make(from_logits=from_logits))
    joint.run_eagerly = True
    assert caught == []
    found = joint.test_on_batch({"main": X}, y, return_dict=True)["loss"]
    expected = make(from_logits=from_logits)(y, network(X))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found),
        keras.ops.convert_to_numpy(expected),
        rtol=1e-5,
    )


def test_rows_without_an_input_are_not_looked_at():
    x = X.copy()
    x[: ROWS - 1] = np.nan
    joint, _ = compiled(Own(), "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="'main' expects probabilities"):
        joint.evaluate({"main": x}, INTEGERS, verbose=0)


def test_a_network_with_a_state_is_not_run_for_a_look():
    network = keras.Sequential(
        [
            keras.Input(batch_shape=(ROWS, 2, WIDTH)),
            layers.LSTM(CLASSES, stateful=True),
        ]
    )
    joint, caught = compiled(network, "sparse_categorical_crossentropy")
    assert "'tanh'" in str(caught[0].message)
    joint.check_arrays({"main": np.stack([X, X], 1)}, INTEGERS)
    for state in network.layers[0].states:
        assert not keras.ops.convert_to_numpy(state).any()
