"""Labels that no class stands for, and numbers that are not finite, batch by batch.

Arrays are looked at before training; a generator or a dataset cannot be. Table of
neighbors: what is wrong (class beyond the outputs, class below -1, answer beyond 1,
infinite input, NaN in a part of a row) x where (training, validation in `fit`,
`evaluate`). Plain Keras gives a number on JAX for a class beyond the outputs, an error
of an operation on TensorFlow and PyTorch; here each names the member, on each backend.

Found by trying: a batch of each kind on the three backends.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend
RNG = np.random.default_rng(0)
ROWS, BATCH, CLASSES = 12, 4, 3


def network(units, activation):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation)])


@pytest.fixture(scope="module")
def joint():
    members = {
        "a": network(CLASSES, "softmax"),
        "b": network(CLASSES, "softmax"),
        "answers": network(1, "sigmoid"),
    }
    model = coloss.JointModel(members)
    sparse = "sparse_categorical_crossentropy"
    model.compile(
        "sgd",
        {"a": sparse, "b": sparse, "answers": "binary_crossentropy"},
        metrics=["accuracy"],
    )
    return model


def data(**spoilt):
    x = {n: RNG.normal(size=(ROWS, 4)).astype("float32") for n in ("a", "b", "answers")}
    y = {
        "a": np.arange(ROWS) % 3,
        "b": np.arange(ROWS) % 3,
        "answers": (np.arange(ROWS) % 2).astype("float32")[:, None],
    }
    for key, value in spoilt.items():
        kind, name = key.split("_", 1)
        target = x[name] if kind == "x" else y[name]
        target[5] = value  # In the second batch.
    return x, y


class Batches(keras.utils.PyDataset):
    def __init__(self, **spoilt):
        super().__init__()
        self.x, self.y = data(**spoilt)

    def __len__(self):
        return ROWS // BATCH

    def __getitem__(self, index):
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return tuple({k: v[rows] for k, v in d.items()} for d in (self.x, self.y))


PART = np.array([np.nan, 0, 0, 0], "float32")
CASES = {
    "class beyond the outputs": ({"y_b": 7}, "labels of 'b' are out of range in 1"),
    "class below -1": ({"y_b": -3}, "labels of 'b' are out of range in 1"),
    "answer beyond 1": ({"y_answers": 2.0}, "labels of 'answers' are out of range"),
    "infinite input": ({"x_b": np.inf}, "'b'"),
    "NaN in a part of a row": ({"x_b": PART}, "'b'"),
}


@pytest.mark.parametrize("where", ["training", "validation", "evaluate"])
@pytest.mark.parametrize("case", CASES)
def test_the_member_is_named(joint, case, where):
    spoilt, said = CASES[case]
    before = [w.tobytes() for w in joint.get_weights()]
    with pytest.raises(coloss.NonFiniteLossError) as caught:
        if where == "training":
            joint.fit(Batches(**spoilt), shuffle=False, verbose=0)
        elif where == "validation":
            joint.fit(Batches(), validation_data=Batches(**spoilt), verbose=0)
        else:
            joint.evaluate(Batches(**spoilt), verbose=0)
    assert said in str(caught.value)
    assert all(np.all(np.isfinite(w)) for w in joint.get_weights())
    if where == "evaluate":
        assert [w.tobytes() for w in joint.get_weights()] == before


def test_unlabeled_rows_are_not_out_of_range(joint):
    logs = joint.evaluate(Batches(y_b=-1, y_answers=-1), verbose=0, return_dict=True)
    assert np.isfinite(logs["loss"])
