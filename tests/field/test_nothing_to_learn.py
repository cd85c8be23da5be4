"""It trained for an hour, and there was nothing to learn from.

Every label is unlabeled, or of one class; an input is missing throughout; the
learning rate is a million. Keras trains on without a word; so reported for instance on
the page "Keras model gets constant loss and accuracy" (codemia.io knowledge hub). Said
before the first step. The table: what is wrong, times the kind of label.
"""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import optimizers

import coloss

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 6
X = RNG.normal(size=(ROWS, 4)).astype("float32")
NAN = float("nan")
STEPS = RNG.normal(size=(ROWS, 2, 4)).astype("float32")
CLASSES = np.arange(ROWS) % 3


def network(units, activation, shape=(4,)):
    return keras.Sequential(
        [keras.Input(shape), keras.layers.Dense(units, activation, name="out")]
    )


# By kind of label: loss, network, input, good labels, and one label for all rows.
KINDS = {
    "integers": ("sparse_categorical_crossentropy", (3, "softmax"), X, CLASSES, -1),
    "integers in a column": (
        "sparse_categorical_crossentropy",
        (3, "softmax"),
        X,
        CLASSES[:, None],
        -1,
    ),
    "one-hot": (
        "categorical_crossentropy",
        (3, "softmax"),
        X,
        np.eye(3)[CLASSES],
        NAN,
    ),
    "yes or no": ("binary_crossentropy", (1, "sigmoid"), X, CLASSES % 2, -1),
    "several yes or no": (
        "binary_crossentropy",
        (2, "sigmoid"),
        X,
        np.stack([CLASSES % 2, CLASSES == 1], 1).astype("float32"),
        NAN,
    ),
    "a class each step": (
        "sparse_categorical_crossentropy",
        (3, "softmax", (2, 4)),
        STEPS,
        np.stack([CLASSES, CLASSES[::-1]], 1),
        -1,
    ),
    "signs": ("hinge", (1, "tanh"), X, (-1.0) ** np.arange(ROWS)[:, None], NAN),
    "numbers": ("mse", (2, None), X, X[:, :2], NAN),
}


@pytest.fixture(scope="module")
def joints():
    """Return a compiled joint model for each kind of label."""
    found = {}
    for kind, (loss, how, *_) in KINDS.items():
        found[kind] = coloss.JointModel({"main": network(*how)})
        found[kind].compile("sgd", loss)
    return found


def same(labels):
    return np.broadcast_to(labels[1], labels.shape).copy()


@pytest.mark.parametrize("kind", KINDS)
def test_good_data_is_passed_in_silence(kind, joints):
    _, _, x, labels, unlabeled = KINDS[kind]
    assert joints[kind].data_warnings({"main": x}, labels) == []
    some = np.array(labels, "float32" if np.isnan(unlabeled) else labels.dtype)
    some[0] = unlabeled
    assert joints[kind].data_warnings({"main": x}, some) == []
    # One row is of one class, whatever it is.
    assert joints[kind].data_warnings({"main": x[:1]}, labels[:1]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_label_unlabeled(kind, joints):
    _, _, x, labels, unlabeled = KINDS[kind]
    none = np.full(labels.shape, unlabeled)
    [said] = joints[kind].data_warnings({"main": x}, none)
    assert "every label of 'main' is unlabeled" in said and "6 rows" in said


@pytest.mark.parametrize("kind", KINDS)
def test_one_class_only(kind, joints):
    _, _, x, labels, unlabeled = KINDS[kind]
    labels = np.array(same(labels), "float32" if np.isnan(unlabeled) else labels.dtype)
    labels[0] = unlabeled
    found = joints[kind].data_warnings({"main": x}, labels)
    # A network whose output is itself a loss is trained toward zeros.
    assert len(found) == (kind != "numbers")
    assert all("one class only" in said and "tell apart" in said for said in found)


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_missing_throughout(kind, joints):
    _, _, x, labels, _ = KINDS[kind]
    [said] = joints[kind].data_warnings({"main": np.full_like(x, NAN)}, labels)
    assert "input of 'main' is missing (NaN) on all 6 rows" in said


@pytest.mark.parametrize("kind", KINDS)
def test_labels_only_where_inputs_are_missing(kind, joints):
    _, _, x, labels, unlabeled = KINDS[kind]
    x, labels = x.copy(), np.array(labels, "float32")
    x[:3], labels[3:] = NAN, unlabeled
    [said] = joints[kind].data_warnings({"main": x}, labels)
    assert "labels on 3 rows and inputs on 3, and no row has both" in said


def test_a_member_whose_loss_is_not_read_needs_no_labels():
    joint = coloss.JointModel({"a": network(3, "softmax"), "b": network(3, "softmax")})
    joint.compile(
        "sgd", "sparse_categorical_crossentropy", objective="a + distill(b >> a)"
    )
    y = {"a": CLASSES, "b": np.full(ROWS, -1)}
    assert joint.data_warnings({"a": X, "b": X}, y) == []


def test_what_an_own_loss_reads_is_its_authors_affair():
    joint = coloss.JointModel({"main": network(2, None)})
    joint.compile("sgd", lambda y, p: keras.ops.mean(keras.ops.square(p), -1))
    assert joint.data_warnings({"main": X}, np.zeros((ROWS, 2), "float32")) == []


RATES = {
    "adam": (lambda: optimizers.Adam(1e6), True),
    "adam of 1": (lambda: optimizers.AdamW(1.0), True),
    "adam as usual": (lambda: optimizers.Adam(0.1), False),
    "rmsprop": (lambda: optimizers.RMSprop(10.0), True),
    "lion": (lambda: optimizers.Lion(2.0), True),
    "sgd": (lambda: optimizers.SGD(1e6), True),
    # Its step follows the gradient, which may be small.
    "sgd of 1": (lambda: optimizers.SGD(1.0), False),
    "adadelta as in the paper": (lambda: optimizers.Adadelta(1.0), False),
    "nothing moves": (lambda: optimizers.SGD(0.0), False),
    "scaled": (lambda: optimizers.LossScaleOptimizer(optimizers.Adam(1e6)), True),
    "by member": (lambda: {"b": optimizers.Adam(1e6), "*": "adam"}, True),
    "schedule": (
        lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(1e6, 10, 0.5)),
        True,
    ),
    "warm-up": (
        lambda: optimizers.Adam(
            optimizers.schedules.CosineDecay(0.0, 9, warmup_target=5.0, warmup_steps=3)
        ),
        True,
    ),
    "schedule as usual": (
        lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)),
        False,
    ),
}


def two(optimizer):
    joint = coloss.JointModel({"a": network(3, "softmax"), "b": network(3, "softmax")})
    joint.compile(optimizer, "sparse_categorical_crossentropy")
    return joint


@pytest.mark.parametrize("case", RATES)
def test_a_learning_rate_out_of_all_proportion(case):
    make, told = RATES[case]
    found = two(make()).data_warnings({"a": X, "b": X}, CLASSES)
    assert len(found) == told
    if told:
        assert "the learning rate of" in found[0] and "Usual are" in found[0]
        assert ("'b'" in found[0]) == (case == "by member")


@pytest.mark.parametrize("rate", [-0.1, NAN, float("inf")])
def test_a_learning_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="learning rate of all members"):
        two(optimizers.SGD(rate)).fit({"a": X, "b": X}, CLASSES, verbose=0)


def test_fit_says_it_before_the_first_step():
    joint = two(optimizers.SGD(1e6))
    x = {"a": X, "b": np.full_like(X, NAN)}
    unlabeled = np.full(ROWS, -1)

    class Stop(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            said.extend(str(warning.message) for warning in caught)
            raise KeyboardInterrupt

    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            joint.fit(
                x,
                {"a": same(CLASSES), "b": CLASSES},
                validation_data=(x, {"a": unlabeled, "b": CLASSES}),
                callbacks=[Stop()],
                verbose=0,
            )
    for part in (
        "the learning rate",
        "labels of 'a' are of one class only (1, 6 labels)",
        "input of 'b' is missing",
        "validation data: every label of 'a'",
        "validation data: input of 'b'",
    ):
        assert sum(one.startswith(part) for one in said) == 1, part
    mine = [w for w in caught if issubclass(w.category, coloss.ObjectiveWarning)]
    assert len(mine) == 5 and all(w.filename == __file__ for w in mine)


ZERO = {
    "adam": (lambda: optimizers.Adam(), ["Adam moves it", "earlier gradients"]),
    "momentum": (lambda: optimizers.SGD(0.1, 0.9), ["SGD moves it", "earlier"]),
    "decay": (lambda: optimizers.SGD(0.1, weight_decay=0.1), ["by weight decay"]),
    "both": (lambda: optimizers.AdamW(), ["earlier gradients", "and weight decay"]),
    "sgd": (lambda: optimizers.SGD(0.1), None),
    "adagrad": (lambda: optimizers.Adagrad(0.1), None),
    "by member": (lambda: {"b": optimizers.SGD(0.1), "*": "adam"}, None),
}


@pytest.mark.parametrize("case", ZERO)
def test_a_network_with_coefficient_0_moves_as_explain_says(case):
    make, parts = ZERO[case]
    joint = coloss.JointModel({"a": network(3, "softmax"), "b": network(3, "softmax")})
    joint.compile(
        make(),
        "sparse_categorical_crossentropy",
        objective="a + w*b",
        coefficients={"w": 1.0},
        run_eagerly=True,
    )
    x = {"a": X, "b": X}
    joint.train_on_batch(x, CLASSES)
    assert joint.explain().unmoved == []
    joint.coefficients["w"].assign(0.0)
    before = joint["b"].get_weights()
    found = joint.explain()
    joint.train_on_batch(x, CLASSES)
    moved = any(
        np.any(one != other)
        for one, other in zip(before, joint["b"].get_weights(), strict=True)
    )
    assert "b: gradient 0 while the coefficients are as they are" in str(found)
    assert found.unmoved == ["b"]
    said = [one for one in found.warnings if "'b' has gradient 0" in one]
    assert len(said) == moved == (parts is not None)
    assert all(part in said[0] for part in parts or ())


def masked():
    inputs = keras.Input((3,), dtype="int32")
    values = keras.layers.Embedding(5, 4, mask_zero=True)(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax")(values))


# Loss, network, input, labels, and what counts.
COUNTED = {
    "all": (*KINDS["integers"][:4], (6, 6, 0, 0, 6, 0)),
    "unlabeled": (
        *KINDS["integers"][:3],
        np.array([0, -1, 2, -1, 1, -1]),
        (6, 3, 3, 0, 6, 3),
    ),
    "rows of NaN": (
        *KINDS["numbers"][:3],
        np.where(CLASSES[:, None] == 0, NAN, X[:, :2]),
        (6, 4, 2, 0, 6, 2),
    ),
    "steps": (
        *KINDS["a class each step"][:3],
        np.array([[-1, -1], [-1, 0], [1, 2], [0, 0], [1, -1], [2, 2]]),
        (6, 5, 1, 0, 12, 4),
    ),
    "missing input": (
        *KINDS["integers"][:2],
        np.where(CLASSES[:, None] == 0, NAN, X).astype("float32"),
        CLASSES,
        (6, 6, 0, 2, 6, 0),
    ),
    "padding": (
        "sparse_categorical_crossentropy",
        masked,
        np.array([[1, 2, 0], [3, 0, 0], [1, 1, 1]]),
        np.array([[0, 1, 2], [0, 1, 2], [0, -1, 2]]),
        (3, 3, 0, 0, 9, 4),
    ),
}


@pytest.mark.parametrize("case", COUNTED)
def test_explain_counts_what_is_taken_as_unlabeled(case):
    loss, how, x, y, expected = COUNTED[case]
    joint = coloss.JointModel({"main": how() if callable(how) else network(*how)})
    joint.compile("sgd", loss)
    explanation = joint.explain({"main": x}, y)
    found = explanation.rows["main"]
    names = ("rows", "labeled", "unlabeled", "missing", "positions", "ignored")
    assert tuple(found[name] for name in names) == expected
    said = f"main: {expected[0]} rows, {expected[1]} labeled, {expected[2]} unlabeled"
    assert said in str(explanation)
    assert joint.explain().rows is None
