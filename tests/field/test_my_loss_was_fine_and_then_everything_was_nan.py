"""A gradient, an update or a state that is not finite, while the loss still is.

Table of neighbors: where it arises (gradient of a large kernel, the optimizer's own
arithmetic, a state of a layer) x who moves the weights (plain, momentum, Adam, clips,
loss scale, combined gradients, an update scaled by network). Plain Keras trains on and
leaves NaN or infinity in the weights; here the weights and slots stay, byte for byte,
and the error names member, variable and term.

Found by trying (kernel (900, 8), inputs of 1e37, `10000*a + b`).
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend
RNG = np.random.default_rng(0)
ROWS = 8
LARGE = np.full((ROWS, 900), 1e37, "float32")
SMALL = RNG.normal(size=(ROWS, 4)).astype("float32")
Y = RNG.integers(0, 8, ROWS)


def classifier(width, *before):
    return keras.Sequential(
        [
            keras.Input((width,)),
            *before,
            keras.layers.Dense(8, "softmax", kernel_initializer="zeros"),
        ]
    )


def joint(optimizer, members=None, objective="10000*a + b", **options):
    members = members or {"a": classifier(900), "b": classifier(4)}
    model = coloss.JointModel(members)
    model.compile(
        optimizer, "sparse_categorical_crossentropy", objective=objective, **options
    )
    return model


def state(model):
    variables = [*model.weights, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(v).tobytes() for v in variables]


def stopped(model, x=None):
    """Train one good step on zeros, then the bad one; return the error."""
    x = {"a": LARGE, "b": SMALL} if x is None else x
    good = {name: np.zeros_like(values) for name, values in x.items()}
    model.fit(good, Y, batch_size=ROWS, verbose=0)
    before = state(model)
    with pytest.raises(coloss.NonFiniteLossError) as caught:
        model.fit(x, Y, batch_size=ROWS, verbose=0)
    assert state(model) == before
    return caught.value


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.01),
    "momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01),
    "clipnorm": lambda: keras.optimizers.Adam(0.01, clipnorm=1.0),
    "clipvalue": lambda: keras.optimizers.SGD(0.01, clipvalue=1.0),
    "own": lambda: type("Own", (keras.optimizers.SGD,), {})(0.01),
    "by member": lambda: {"a": keras.optimizers.SGD(0.01), "*": "adam"},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_that_overflows_in_the_product_of_a_kernel(name):
    error = stopped(joint(OPTIMIZERS[name]()))
    assert set(error.entries) == {"loss"}
    assert error.variable.endswith("kernel")
    assert "'a'" in str(error)
    assert "`10000*a`" in str(error)
    assert "`b`" not in str(error)


@pytest.mark.parametrize(
    "options",
    [{"aggregator": "upgrad"}, {"weighting": "dwa"}, {"weighting": "ogm_ge"}],
    ids=str,
)
def test_combined_and_scaled_gradients(options):
    objective = "10000*a + b + distill(b >> a)"
    stopped(joint(keras.optimizers.SGD(0.01), None, objective, **options))


def test_one_summand_among_several_that_reach_a_member():
    error = stopped(joint("adam", objective="10000*a + b + distill(b >> a)"))
    assert "(not finite by itself: `10000*a`)" in str(error)


def root(y_true, y_pred):
    """The distance, whose gradient is NaN where the prediction is right."""
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(y_true - y_pred), -1))


class Listed(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 2

    def __getitem__(self, number):
        rows = slice(8 * number, 8 * number + 8)
        return {name: values[rows] for name, values in self.x.items()}, self.y[rows]


def generated(x, y):
    listed = Listed(x, y)
    while True:
        yield from (listed[number] for number in range(2))


DATA = {
    "arrays": lambda x, y: ({"x": x, "y": y, "batch_size": 8}, True),
    "held out": lambda x, y: (
        {"x": x, "y": y, "batch_size": 8, "validation_split": 0.25},
        True,
    ),
    "dataset": lambda x, y: ({"x": Listed(x, y)}, True),
    # What a generator gave is gone: the terms that reach the member are told.
    "generator": lambda x, y: (
        {"x": generated(x, y), "steps_per_epoch": 2, "shuffle": False},
        False,
    ),
}


@pytest.fixture(scope="module")
def with_a_root():
    def network():
        return keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(2, kernel_initializer="zeros", use_bias=False),
            ]
        )

    model = coloss.JointModel({"a": network(), "b": network()})
    model.compile(
        keras.optimizers.SGD(0.0),
        {"a": root, "b": "mse"},
        objective="a + match_logits(b >> a) + b",
    )
    return model


@pytest.mark.parametrize("kind", DATA)
def test_the_term_is_named_whose_own_gradient_is_not_finite(kind, with_a_root):
    x = {name: RNG.normal(size=(16, 4)).astype("float32") for name in "ab"}
    y = np.ones((16, 2), "float32")
    y[11 if kind != "held out" else 3] = 0.0  # Zeros are what it predicts.
    options, named = DATA[kind](x, y)
    before = [keras.ops.convert_to_numpy(v).copy() for v in with_a_root.variables]
    with pytest.raises(coloss.NonFiniteLossError) as caught:
        with_a_root.fit(**options, verbose=0)
    said = str(caught.value)
    if named:
        assert "(not finite by itself: `a`)" in said
    else:
        assert "(terms that reach it: `a`, `match_logits(b >> a)`)" in said
    weights = {id(v) for v in with_a_root.weights}
    for variable, value in zip(with_a_root.variables, before, strict=True):
        if id(variable) in weights:
            found = keras.ops.convert_to_numpy(variable)
            np.testing.assert_array_equal(found, value)


def test_an_update_that_divides_zero_by_zero():
    """Adam without an epsilon: finite gradients, and NaN weights in plain Keras."""
    members = {"a": classifier(4), "b": classifier(4)}
    model = joint(keras.optimizers.Adam(0.01, epsilon=0.0), members, "a + b")
    before = [w.tobytes() for w in model.get_weights()]
    x = {"a": np.zeros((ROWS, 4), "float32"), "b": SMALL}
    with pytest.raises(coloss.NonFiniteLossError, match="the update takes") as caught:
        model.fit(x, Y, batch_size=ROWS, verbose=0)
    assert caught.value.variable.endswith("kernel")
    assert [w.tobytes() for w in model.get_weights()] == before


class Energy(keras.layers.Layer):
    """Keeps the largest energy that it has seen, and returns what it is given."""

    def build(self, shape):
        self.largest = self.add_weight((), "zeros", trainable=False, name="largest")

    def call(self, inputs):
        squares = keras.ops.sum(keras.ops.square(inputs))
        self.largest.assign(keras.ops.maximum(self.largest, squares))
        return inputs


def test_a_state_of_a_layer_that_overflows():
    members = {"a": classifier(4, Energy()), "b": classifier(4)}
    model = joint("sgd", members, "a + b")
    error = stopped(model, {"a": SMALL * np.float32(1e25), "b": SMALL})
    assert "the forward pass takes" in str(error)
    assert "largest" in error.variable


def test_a_loss_scale_lowers_itself_and_weights_stay_finite():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))
    model = joint(scaled)
    before = [w.tobytes() for w in model.get_weights()]
    model.fit({"a": LARGE, "b": SMALL}, Y, batch_size=ROWS, epochs=3, verbose=0)
    assert [w.tobytes() for w in model.get_weights()] == before


def test_large_but_finite_gradients_train_on():
    """Squares of 1e25 overflow float32; the numbers themselves are fine."""
    members = {"a": classifier(4), "b": classifier(4)}
    model = joint(keras.optimizers.SGD(1e-5), members, "a + b")
    model.fit(
        {"a": SMALL * np.float32(1e25), "b": SMALL}, Y, batch_size=ROWS, verbose=0
    )
    largest = max(np.abs(w).max() for w in model.get_weights())
    assert 1e15 < largest < 1e25
