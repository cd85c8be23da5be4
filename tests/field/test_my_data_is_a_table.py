"""My rows are in a data frame, a list, or a column of a table; Keras takes arrays.

Reported in keras-team/keras issue #1195 ("Keras and Pandas") and sedflix/DeepCoherence
issue #3 (a list of lists as `x`). The table: what holds the rows, times whether these
are inputs, labels or weights. Right is what the same numbers give as NumPy arrays; what
cannot be used is refused in words before a step.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pandas = pytest.importorskip("pandas")
pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 6
WHOLE = RNG.integers(0, 2, (ROWS, 3))
X = RNG.normal(size=(ROWS, 3)).astype("float32")
Y = np.array([0, 1, 2, 0, 1, -1], "int32")
WEIGHTS = np.linspace(0.5, 2, ROWS).astype("float32")


class Column:
    """A column of a table: it has a length and items, and may know NumPy."""

    def __init__(self, values):
        self.values = [value.tolist() for value in values]

    def __len__(self):
        return len(self.values)

    def __getitem__(self, key):
        return self.values[key]


class ArrayColumn(Column):
    """The same, which knows NumPy, as series of polars and arrow do."""

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


HOLDERS = {
    "list": lambda values: values.tolist(),
    "tuple of rows": lambda values: tuple(values.tolist()),
    "list of arrays": list,
    "column": Column,
    "column with __array__": ArrayColumn,
    "tensor": keras.ops.convert_to_tensor,
    "variable": lambda v: keras.Variable(v, dtype=str(v.dtype), trainable=False),
}
FRAMES = {
    "frame": pandas.DataFrame,
    "frame with an index": lambda v: pandas.DataFrame(v, index=range(10, 10 + ROWS)),
}
SERIES = {
    "series": pandas.Series,
    "shuffled index": lambda values: pandas.Series(values, index=range(ROWS, 0, -1)),
    "nullable": lambda values: pandas.Series(values).convert_dtypes(),
}


def network(width=3, activation="softmax"):
    return keras.Sequential([keras.Input((width,)), keras.layers.Dense(3, activation)])


@pytest.fixture(scope="module")
def joint():
    model = coloss.JointModel({"a": network(), "b": network()}, fuse="mean")
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


def loss_of(joint, x, y=Y, weight=WEIGHTS):
    logs = joint.test_on_batch({"a": x, "b": X}, y, sample_weight=weight)
    return np.array([float(value) for value in logs])


@pytest.fixture(scope="module")
def expected(joint):
    """Return the losses on NumPy arrays: of float inputs, and of whole numbers."""
    joint.reset_metrics()
    found = loss_of(joint, X)
    joint.reset_metrics()
    whole = loss_of(joint, WHOLE.astype("float32"))
    joint.reset_metrics()
    return found, whole


@pytest.mark.parametrize("holder", [*HOLDERS, *FRAMES])
def test_inputs(holder, joint, expected):
    joint.reset_metrics()
    found = loss_of(joint, {**HOLDERS, **FRAMES}[holder](X))
    np.testing.assert_allclose(found, expected[0], rtol=1e-5)


@pytest.mark.parametrize("holder", [*HOLDERS, *SERIES])
def test_labels(holder, joint, expected):
    joint.reset_metrics()
    found = loss_of(joint, X, {**HOLDERS, **SERIES}[holder](Y))
    np.testing.assert_allclose(found, expected[0], rtol=1e-5)


@pytest.mark.parametrize("holder", [*HOLDERS, *SERIES])
def test_weights(holder, joint, expected):
    joint.reset_metrics()
    found = loss_of(joint, X, Y, {**HOLDERS, **SERIES}[holder](WEIGHTS))
    np.testing.assert_allclose(found, expected[0], rtol=1e-5)


WHOLE_FRAMES = {
    "whole numbers": pandas.DataFrame(WHOLE),
    "true and false beside numbers": pandas.DataFrame(
        {"x": WHOLE[:, 0] > 0, "y": WHOLE[:, 1].astype("float64"), "z": WHOLE[:, 2]}
    ),
    "nullable columns": pandas.DataFrame(WHOLE).astype("Int64"),
    "nullable of three types": pandas.DataFrame(WHOLE).astype(
        {0: "boolean", 1: "Float32", 2: "Int8"}
    ),
    "categories of numbers": pandas.DataFrame(WHOLE).astype("category"),
}


@pytest.mark.parametrize("frame", WHOLE_FRAMES)
def test_columns_of_different_types_are_numbers(frame, joint, expected):
    joint.reset_metrics()
    found = loss_of(joint, WHOLE_FRAMES[frame])
    np.testing.assert_allclose(found, expected[1], rtol=1e-5)


def test_an_empty_cell_of_a_nullable_column_is_unlabeled(joint, expected):
    joint.reset_metrics()
    labels = pandas.Series([*Y[:5].tolist(), None], dtype="Int64")
    np.testing.assert_allclose(loss_of(joint, X, labels), expected[0], rtol=1e-5)


def test_validation_rows_may_be_frames(joint):
    frames = {"a": pandas.DataFrame(X), "b": X.tolist()}
    given = {"epochs": 1, "verbose": 0, "batch_size": ROWS}
    history = joint.fit(
        frames, Y.tolist(), validation_data=(frames, Y.tolist()), **given
    )
    found = joint.evaluate({"a": X, "b": X}, Y, verbose=0)
    assert history.history["val_loss"][0] == pytest.approx(found[0], rel=1e-5)


WAYS = {
    "fit": lambda joint, x: joint.fit(x, Y, verbose=0),
    "evaluate": lambda joint, x: joint.evaluate(x, Y, verbose=0),
    "predict": lambda joint, x: joint.predict(x, verbose=0),
    "train_on_batch": lambda joint, x: joint.train_on_batch(x, Y),
    "test_on_batch": lambda joint, x: joint.test_on_batch(x, Y),
    "predict_on_batch": lambda joint, x: joint.predict_on_batch(x),
    "explain": lambda joint, x: joint.explain(x, Y),
}
BARE = {
    "array": (X, "ndarray of shape (6, 3)"),
    "frame": (pandas.DataFrame(X), "DataFrame of shape (6, 3)"),
    "tensor": (keras.ops.convert_to_tensor(X), "a tensor of shape (6, 3)"),
    "list": ([X, X], "a list of 2"),
    "tuple": ((X, X, X), "a tuple of 3"),
}


@pytest.mark.parametrize("bare", BARE)
@pytest.mark.parametrize("way", WAYS)
def test_one_array_for_all_is_refused(way, bare, joint):
    value, found = BARE[bare]
    with pytest.raises(TypeError) as caught:
        WAYS[way](joint, value)
    message = str(caught.value)
    assert "dict of inputs by member" in message and '"a": ..., "b": ...' in message
    assert found in message


def replaced(**labels):
    return lambda joint: joint.train_on_batch({"a": X, "b": X}, **labels)


ODD = np.array([0, 1, 2, 0, 7, 1])
# How it is called, and what the message says.
REFUSED = {
    "rows of different lengths": (
        lambda joint: joint.predict({"a": [[1.0, 2.0, 3.0], [1.0]]}, verbose=0),
        ["'a'", "different shapes", "1, 3", "pad_sequences"],
    ),
    "labels of different lengths": (
        replaced(y=[0, [1], 2, 0, 1, 2]),
        ["`y`", "shapes"],
    ),
    "a column of text": (
        lambda joint: joint.predict(
            {"a": pandas.DataFrame({"x": X[:, 0], "y": X[:, 1], "z": ["u"] * ROWS})}
        ),
        ["'a'", "dtype", "expected numbers"],
    ),
    "categories of text": (
        replaced(y=pandas.Series(list("uvwuvw"), dtype="category")),
        ["'a'", ".cat.codes", "np.unique"],
    ),
    "classes as text": (replaced(y=list("uvwuvw")), ["'a'", "np.unique"]),
    "one array a member, without names": (
        replaced(y=[Y, Y]),
        ["`y` is a list of 2 arrays", '"a": ...'],
    ),
    "a class that is not there": (
        replaced(y={"a": Y, "b": ODD}),
        ["'b'", "0 to 7", "0 to 2 for 3 outputs", "first is 7 in row 4 (1 such row)"],
    ),
    "a class below -1": (
        replaced(y=np.where(ODD == 7, -2, ODD)),
        ["'a'", "-2 in row 4"],
    ),
    "an infinite input": (
        lambda joint: joint.predict({"b": np.where(X[3, 1] == X, np.inf, X)}),
        ["'b'", "row 3", "infinite"],
    ),
    "a generator for an array": (
        lambda joint: joint.predict({"a": (row for row in X)}),
        ["'a'", "generator"],
    ),
    "nobody's input": (
        lambda joint: joint.predict({"c": X}),
        ["no member 'c'"],
    ),
    "no input at all": (lambda joint: joint.predict({}), ["nothing for 'a'"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_in_words(case, joint):
    call, parts = REFUSED[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        call(joint)
    message = str(caught.value)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("way", ["predict", "predict_on_batch"])
@pytest.mark.parametrize("names", [("a",), ("b",), ("b", "a")])
def test_predict_runs_the_members_it_is_given(names, way, joint):
    x = {name: X * (2 if name == "b" else 1) for name in names}
    found = WAYS[way](joint, x)
    assert set(found) == {*names, "fused"}
    outputs = {
        name: keras.ops.convert_to_numpy(joint[name](value))
        for name, value in x.items()
    }
    for name, output in outputs.items():
        np.testing.assert_allclose(found[name], output, atol=1e-6)
    mean = np.mean(list(outputs.values()), axis=0)
    np.testing.assert_allclose(found["fused"], mean, atol=1e-6)


def test_a_function_of_all_outputs_is_left_out_without_some():
    fuse = lambda outputs: outputs["a"] * outputs["b"]  # noqa: E731
    model = coloss.JointModel({"a": network(), "b": network()}, fuse=fuse)
    assert set(model.predict({"a": X}, verbose=0)) == {"a"}
    assert set(model.predict({"a": X, "b": X}, verbose=0)) == {"a", "b", "fused"}


def test_a_step_needs_every_member(joint):
    with pytest.raises(ValueError, match="nothing for 'b'"):
        joint.evaluate({"a": X}, Y, verbose=0)
    with pytest.raises(ValueError, match="nothing for 'b'"):
        joint({"a": X})


def two_inputs(name="two"):
    first, second = keras.Input((3,)), keras.Input((2,))
    both = keras.layers.Concatenate()([first, second])
    return keras.Model(
        [first, second], keras.layers.Dense(3, "softmax")(both), name=name
    )


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_member_with_two_inputs_takes_a_list_of_them(holder):
    model = coloss.JointModel({"a": two_inputs()})
    second = X[:, :2]
    given = [HOLDERS[holder](X), HOLDERS[holder](second)]
    found = model.predict_on_batch({"a": given})["a"]
    np.testing.assert_allclose(
        found, keras.ops.convert_to_numpy(model["a"]([X, second])), atol=1e-6
    )


SEVERAL = {
    "list": lambda x: [keras.layers.Dense(2)(x), keras.layers.Dense(3)(x)],
    "dict": lambda x: {"p": keras.layers.Dense(2)(x), "q": keras.layers.Dense(3)(x)},
}


class Several(keras.Model):
    """A subclassed network with several outputs."""

    def __init__(self, kind):
        super().__init__()
        self.dense, self.kind = keras.layers.Dense(3), kind

    def call(self, inputs):
        outputs = self.dense(inputs)
        return {"p": outputs, "q": outputs} if self.kind == "dict" else [outputs] * 2


# Keras looks first whether it can build the network, and warns that it cannot.
@pytest.mark.filterwarnings("ignore:Layer 'joint_model:UserWarning")
@pytest.mark.parametrize("kind", SEVERAL)
@pytest.mark.parametrize("way", ["functional", "subclassed"])
def test_a_member_with_several_outputs_is_refused(way, kind):
    inputs = keras.Input((3,))
    with pytest.raises(ValueError, match="'a' has several outputs") as caught:
        if way == "functional":
            coloss.JointModel({"a": keras.Model(inputs, SEVERAL[kind](inputs))})
        model = coloss.JointModel({"a": Several(kind)})
        model.compile("sgd", "mse")
        model.fit({"a": X}, X, verbose=0)
    key = "'p'" if kind == "dict" else "0"
    assert f"network.output[{key}]" in str(caught.value)
