"""What cannot be trained on is refused before a step, in words that help."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel
from coloss.objective import ObjectiveError

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 6
X = {
    "main": RNG.normal(size=(ROWS, 4)).astype("float32"),
    "helper": RNG.normal(size=(ROWS, 5)).astype("float32"),
    "size": RNG.normal(size=(ROWS, 4)).astype("float32"),
    "flag": RNG.normal(size=(ROWS, 4)).astype("float32"),
}
CLASSES = np.arange(ROWS) % 3
Y = {
    "main": CLASSES,
    "helper": np.eye(3)[CLASSES],
    "size": RNG.normal(size=(ROWS, 2)),
    "flag": CLASSES % 2,
}
LOSSES = {
    "main": "sparse_categorical_crossentropy",
    "helper": "categorical_crossentropy",
    "size": "mse",
    "flag": "binary_crossentropy",
}
NAN = float("nan")
OBJECTIVE = "main + helper + size + w*flag"


def network(width, units, activation, normalize=False):
    layers = [keras.Input((width,))]
    if normalize:
        layers.append(keras.layers.BatchNormalization(name="norm"))
    layers.append(keras.layers.Dense(units, activation, name="out"))
    return keras.Sequential(layers)


def networks():
    return {
        "main": network(4, 3, "softmax"),
        "helper": network(5, 3, "softmax"),
        "size": network(4, 2, None),
        "flag": network(4, 1, "sigmoid", normalize=True),
    }


@pytest.fixture(scope="module")
def model():
    joint = JointModel(networks())
    joint.compile(
        "sgd", LOSSES, objective="main + helper + size + w*flag", coefficients={"w": 1}
    )
    return joint


def x_with(**changes):
    return {**X, **changes}


def y_with(**changes):
    return {**Y, **changes}


def holed(values, value=NAN, row=2, column=1):
    values = np.array(values, "float32")
    values[row, column] = value
    return values


def gone(name):
    values = X[name].copy()
    values[1] = NAN
    return x_with(**{name: values})


def without(values, name):
    return {key: value for key, value in values.items() if key != name}


TEXTS = np.array(["a"] * ROWS)

# What is wrong: x, y, sample_weight, and what the message says.
DATA = {
    "x is an array": (X["main"], Y, None, ["dict of inputs by member", "main"]),
    "x: wrong name": (
        {**without(X, "helper"), "helpr": X["helper"]},
        Y,
        None,
        ["`x`", "'helpr'", "'helper'"],
    ),
    "x: member missing": (without(X, "helper"), Y, None, ["`x`", "'helper'"]),
    "x: wrong width": (
        x_with(helper=X["main"]),
        Y,
        None,
        ["'helper'", "(4,)", "(5,)"],
    ),
    "x: wrong rank": (x_with(main=X["main"][None]), Y, None, ["'main'", "(6, 4)"]),
    "x: wrong rows": (x_with(main=X["main"][:4]), Y, None, ["'main'", "4 rows", "6"]),
    "x: a number": (x_with(main=3.0), Y, None, ["'main'", "float"]),
    "x: no rows": (
        {name: x[:0] for name, x in X.items()},
        {name: y[:0] for name, y in Y.items()},
        None,
        ["0 rows"],
    ),
    "x: NaN in part of a row": (
        x_with(main=holed(X["main"])),
        Y,
        None,
        ["'main'", "row 2", "1 NaN among 4", "missing modality"],
    ),
    "x: strings": (
        x_with(main=np.tile(TEXTS[:, None], (1, 4))),
        Y,
        None,
        ["'main'", "dtype"],
    ),
    "x: objects": (
        x_with(main=X["main"].astype(object)),
        Y,
        None,
        ["'main'", "object"],
    ),
    "x: missing before BatchNormalization": (
        gone("flag"),
        Y,
        None,
        ["'flag'", "1 row,", "'norm'", "LayerNormalization"],
    ),
    "y: None": (X, None, None, ["`y` is missing"]),
    "y: wrong name": (X, {**Y, "mian": CLASSES}, None, ["`y`", "'mian'", "'main'"]),
    "y: member missing": (X, without(Y, "size"), None, ["`y`", "'size'", "objective"]),
    "y: wrong rows": (X, y_with(main=CLASSES[:5]), None, ["'main'", "5 rows", "6"]),
    "y: strings": (X, y_with(main=TEXTS), None, ["'main'", "dtype"]),
    "y: class too large": (
        X,
        y_with(main=CLASSES + 1),
        None,
        ["'main'", "1 to 3", "0 to 2", "3 outputs"],
    ),
    "y: class too small": (
        X,
        y_with(main=CLASSES - 2),
        None,
        ["'main'", "-2", "-1 where unlabeled"],
    ),
    "y: fractions for classes": (
        X,
        y_with(main=CLASSES + 0.5),
        None,
        ["'main'", "whole numbers"],
    ),
    "y: one-hot where integers are": (
        X,
        y_with(main=np.eye(3)[CLASSES]),
        None,
        ["'main'", "(6, 3)", "categorical_crossentropy"],
    ),
    "y: integers where one-hot is": (
        X,
        y_with(helper=CLASSES),
        None,
        ["'helper'", "(6,)", "sparse_categorical_crossentropy"],
    ),
    "y: too few classes": (
        X,
        y_with(helper=np.eye(4)[CLASSES]),
        None,
        ["'helper'", "(6, 4)", "3"],
    ),
    "y: NaN in part of a one-hot row": (
        X,
        y_with(helper=holed(Y["helper"])),
        None,
        ["'helper'", "row 2", "NaN in part"],
    ),
    "y: NaN in part of a target": (
        X,
        y_with(size=holed(Y["size"])),
        None,
        ["'size'", "row 2", "NaN in part"],
    ),
    "y: yes or no out of range": (
        X,
        y_with(flag=CLASSES),
        None,
        ["'flag'", "0 to 2", "0 to 1"],
    ),
    "y: targets of another width": (
        X,
        y_with(size=Y["size"][:, :1]),
        None,
        ["'size'", "(6, 1)", "2"],
    ),
    "y: targets of another rank": (
        X,
        y_with(size=Y["size"][:, 0]),
        None,
        ["'size'", "(6,)", "2"],
    ),
    "sample_weight: wrong rows": (X, Y, np.ones(4), ["`sample_weight`", "4 rows", "6"]),
    "sample_weight: wrong rows of a member": (
        X,
        Y,
        {"size": np.ones(4)},
        ["`sample_weight`", "'size'", "4 rows"],
    ),
    "sample_weight: wrong name": (
        X,
        Y,
        {"szie": np.ones(ROWS)},
        ["`sample_weight`", "'szie'", "'size'"],
    ),
    "sample_weight: a number": (X, Y, 2.0, ["`sample_weight`", "float"]),
    "sample_weight: NaN": (
        X,
        Y,
        {"main": np.full(ROWS, NAN)},
        ["`sample_weight`", "'main'", "NaN"],
    ),
}


@pytest.mark.parametrize("case", DATA)
def test_data_that_does_not_fit_is_refused_before_a_step(case, model):
    x, y, sample_weight, parts = DATA[case]
    before = [w.tobytes() for w in model.get_weights()]
    ways = [lambda: model.fit(x, y, sample_weight=sample_weight, verbose=0)]
    if isinstance(x, dict):
        ways.append(
            lambda: model.evaluate(x, y, sample_weight=sample_weight, verbose=0)
        )
        ways.append(lambda: model.train_on_batch(x, y, sample_weight=sample_weight))
    for way in ways:
        with pytest.raises((ValueError, TypeError)) as caught:
            way()
        message = str(caught.value)
        assert all(part in message for part in parts), message
        assert len(message) < 400
    assert [w.tobytes() for w in model.get_weights()] == before
    assert int(model.optimizer.iterations.value) == 0


def test_validation_data_is_looked_at_first(model):
    bad = (X, y_with(main=CLASSES + 1))
    with pytest.raises(ValueError, match="validation data: labels of 'main' range"):
        model.fit(X, Y, validation_data=bad, verbose=0)
    assert int(model.optimizer.iterations.value) == 0


def test_predict_refuses_inputs_alone(model):
    for way in (lambda x: model.predict(x, verbose=0), model.predict_on_batch):
        with pytest.raises(ValueError, match=r"no member 'helpr'.*'helper'"):
            way({"helpr": X["helper"]})
        with pytest.raises(ValueError, match="nothing for 'main'"):
            way({})
        with pytest.raises(ValueError, match="'helper' has rows of shape"):
            way(x_with(helper=X["main"]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"main": {0: 2.0}, "hepler": {0: 1.0}}, "'hepler'.*'helper'"),
        ({"main": {0.5: 2.0}}, "'main': found 0.5: 2.0; expected whole numbers"),
    ],
)
def test_class_weights_that_do_not_fit_are_refused(weights, message, model):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, class_weight=weights, verbose=0)


ARGUMENTS = {
    "optimizer": ({"optimizer": "adamm"}, ["'adamm'", "adam"]),
    "optimizer by name": (
        {"optimizer": {"main": "sgd", "helpr": "sgd", "*": "sgd"}},
        ["'helpr'", "'helper'"],
    ),
    "optimizer for some": ({"optimizer": {"main": "sgd"}}, ["'helper'", "*"]),
    "loss": ({"loss": {**LOSSES, "main": "crosentropy"}}, ["'main'", "crosentropy"]),
    "loss by half its name": (
        {"loss": {**LOSSES, "main": "crossentropy"}},
        ["'main'", "'crossentropy'", "'sparse_categorical_crossentropy'", "one-hot"],
    ),
    "loss misspelt": (
        {"loss": {**LOSSES, "size": "mean_square_error"}},
        ["'size'", "'mean_square_error'", "did you mean 'mean_squared_error'"],
    ),
    "loss by name": ({"loss": {**LOSSES, "mian": "mse"}}, ["'mian'", "'main'"]),
    "loss missing": ({"loss": without(LOSSES, "size")}, ["'size'", "loss={"]),
    "metrics": ({"metrics": {"main": ["acuracy"]}}, ["'main'", "acuracy"]),
    "metrics by name": ({"metrics": {"mian": ["accuracy"]}}, ["'mian'", "'main'"]),
    "coefficient missing": ({"coefficients": {}}, ["w"]),
    "coefficient misspelt": ({"coefficients": {"ww": 1.0}}, ["'w'", "ww"]),
    "coefficient infinite": ({"coefficients": {"w": float("inf")}}, ["'w'", "finite"]),
    "coefficient NaN": ({"coefficients": {"w": NAN}}, ["'w'", "finite"]),
    "coefficient text": ({"coefficients": {"w": "1"}}, ["'w'", "number"]),
    "schedule NaN": ({"coefficients": {"w": lambda epoch: NAN}}, ["'w'", "finite"]),
    "coefficient with a member's name": (
        {"coefficients": {"w": 1.0, "main": 1.0}},
        ["'main'"],
    ),
    "objective: name": ({"objective": "mian + w*helper"}, ["'mian'", "main"]),
    "objective: function": ({"objective": "w*distil(helper >> main)"}, ["distil"]),
    "objective: syntax": ({"objective": "w*(main"}, ["main"]),
    "objective: option": (
        {"objective": "w*main + distill(helper >> main, temprature=2)"},
        ["temprature", "temperature"],
    ),
    "objective: layer": (
        {"objective": "w*cka(helper.ot >> main.out)"},
        ["'ot'", "out"],
    ),
    "objective: kind": ({"objective": "w*3"}, ["trains no member"]),
    "on_ascent": ({"on_ascent": "ignore"}, ["`on_ascent`", "ignore"]),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_do_not_fit_are_refused(case):
    given, parts = ARGUMENTS[case]
    arguments = {
        "optimizer": "sgd",
        "loss": LOSSES,
        "objective": OBJECTIVE,
        "coefficients": {"w": 1.0},
        **given,
    }
    with pytest.raises((ValueError, TypeError, ObjectiveError)) as caught:
        JointModel(networks()).compile(**arguments)
    message = str(caught.value)
    assert all(part in message for part in parts), message


def test_a_compile_that_is_refused_changes_nothing(model):
    before, optimizer = str(model.objective), model.optimizer
    with pytest.raises(ObjectiveError):
        model.compile(
            "adam",
            LOSSES,
            objective="main - helper - size - w2*flag",
            coefficients={"w2": 1.0},
            on_ascent="raise",
        )
    assert str(model.objective) == before
    assert list(model.coefficients) == ["w"]
    assert model.optimizer is optimizer
    assert np.isfinite(model.evaluate(X, Y, verbose=0, return_dict=True)["loss"])
