"""Coefficients take effect at once, without another trace, and zeros mean absence."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel
from coloss.objective import ObjectiveWarning
from coloss.weighting import Cosine, Ramp, Steps

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 8
XA = RNG.normal(size=(ROWS, 4)).astype("float32")
XB = RNG.normal(size=(ROWS, 5)).astype("float32")
X = {"a": XA, "b": XB}
Y = np.arange(ROWS) % 3
SPARSE = "sparse_categorical_crossentropy"


def sgd():
    return keras.optimizers.SGD(1.0)


def compiled(members, objective, coefficients=None, **options):
    model = JointModel(members)
    options.setdefault("loss", SPARSE)
    options.setdefault("optimizer", sgd())
    options.setdefault("on_ascent", "allow")
    model.compile(objective=objective, coefficients=coefficients, **options)
    return model


def test_assign_takes_effect_in_the_next_step(linear, step, same):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = compiled(members, "a + w*b", {"w": 1.0})
    _, ones = step(model, X, Y)
    for value in (0.25, -3.0, 0.0):
        model.coefficients["w"].assign(value)
        logs, found = step(model, X, Y)
        same(found["a"], ones["a"])
        same(found["b"], [value * g for g in ones["b"]])
        assert logs["w*b"] == pytest.approx(value * logs["b_loss"], rel=1e-5)


class CountedLoss(keras.losses.Loss):
    """Counts how often its Python code runs: once a trace, not once a step."""

    def __init__(self):
        super().__init__()
        self.runs = 0

    def call(self, y_true, y_pred):
        self.runs += 1
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def test_a_whole_fit_with_moving_coefficients_is_traced_once(linear):
    if keras.backend.backend() == "torch":
        pytest.skip("torch runs every step in Python")
    members = {"a": linear(4), "b": linear(5, seed=1)}
    hot = np.eye(3, dtype="float32")[Y]
    options = {"batch_size": 4, "verbose": 0}

    def runs(epochs, by_hand):
        loss = CountedLoss()
        model = compiled(
            members,
            "a + w*b + v*a",
            {"w": Ramp(0, 1, epochs=4), "v": 0.1},
            loss={"a": loss, "b": "mse"},
        )
        model.fit(X, hot, epochs=epochs, **options)
        if by_hand:
            model.coefficients["v"].assign(0.7)
            model.fit(X, hot, epochs=epochs, **options)
        return loss.runs

    one = runs(1, False)
    assert one >= 1
    assert runs(5, False) == one
    assert runs(3, True) == one


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Ramp(0, 1, epochs=2), [0.0, 0.5, 1.0, 1.0]),
        (Ramp(1, 0, epochs=1, delay=2), [1.0, 1.0, 1.0, 0.0]),
        (Cosine(1, 0, epochs=2), [1.0, 0.5, 0.0, 0.0]),
        (Steps({0: 1.0, 2: 0.1}), [1.0, 1.0, 0.1, 0.1]),
        (lambda epoch: 0.5**epoch, [1.0, 0.5, 0.25, 0.125]),
    ],
    ids=["ramp", "late ramp", "cosine", "steps", "function"],
)
def test_a_schedule_moves_the_coefficient_with_the_epoch(schedule, expected, linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = compiled(
        members, "a + w*b", {"w": schedule}, optimizer=keras.optimizers.SGD(0.0)
    )
    history = model.fit(X, Y, epochs=4, verbose=0).history
    np.testing.assert_allclose(history["w"], expected, atol=1e-6)
    weighed = np.multiply(expected, history["b_loss"])
    np.testing.assert_allclose(history["w*b"], weighed, rtol=1e-5)


def test_initial_epoch_goes_on_where_the_schedule_was(linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = compiled(members, "a + w*b", {"w": Ramp(0, 1, epochs=4)})
    history = model.fit(X, Y, epochs=4, initial_epoch=2, verbose=0).history
    np.testing.assert_allclose(history["w"], [0.5, 0.75])


class SetByHand(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            self.model.coefficients["v"].assign(5.0)


def test_only_coefficients_that_move_are_in_the_history(linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = compiled(
        members, "u*a + v*b + w*a", {"u": 1.0, "v": 2.0, "w": Steps({0: 1, 9: 2})}
    )
    history = model.fit(X, Y, epochs=4, verbose=0, callbacks=[SetByHand()]).history
    assert "u" not in history
    assert history["w"] == [1.0] * 4
    assert history["v"] == [5.0, 5.0]
    assert float(keras.ops.convert_to_numpy(model.coefficients["v"].value)) == 5.0


def dropping(seed):
    """Return a network with dropout whose seed generator lives in the layer."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dropout(0.5, seed=seed, name="drop")(inputs)
    glorot = keras.initializers.GlorotUniform(seed)
    outputs = keras.layers.Dense(3, "softmax", kernel_initializer=glorot)(hidden)
    return keras.Model(inputs, outputs)


def trained(objective, coefficients=None, optimizer="adam"):
    members = {"a": dropping(1), "b": dropping(2)}
    model = compiled(members, objective, coefficients, optimizer=optimizer)
    x = {"a": XA, "b": XA}
    model.fit(x, Y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    return model


def state(model):
    """Return every variable of every member, seed generators included."""
    return {
        name: [keras.ops.convert_to_numpy(v.value).tobytes() for v in member.variables]
        for name, member in model.members.items()
    }


@pytest.mark.parametrize(
    "zero",
    [
        "0*distill(b >> a)",
        "0*cka(b.drop >> a.drop)",
        "0.0*relu(b - a)",
        "(1 - 1)*mutual(a, b)",
        "b*0",
    ],
)
def test_a_literal_0_is_absence_to_the_bit(zero):
    without = trained("a + 0.5*b")
    assert len(state(without)["a"]) > len(without["a"].weights)  # random state is in
    assert state(trained(f"a + 0.5*b + {zero}")) == state(without)


def test_a_member_weighed_by_a_literal_0_is_left_as_it_is():
    model = trained("a + 0*b")
    untouched = [w.tobytes() for w in dropping(2).get_weights()]
    assert [w.tobytes() for w in model["b"].get_weights()] == untouched
    assert state(model)["a"] == state(trained("a"))["a"]


def test_a_coefficient_of_0_is_absence_to_1e_6():
    without = trained("a + 0.5*b", optimizer=keras.optimizers.SGD(0.5))
    model = trained(
        "a + 0.5*b + w*distill(b >> a) + v*relu(a - stop(b))",
        {"w": 0.0, "v": 0.0},
        optimizer=keras.optimizers.SGD(0.5),
    )
    for name in "ab":
        pairs = zip(model[name].get_weights(), without[name].get_weights(), strict=True)
        for found, expected in pairs:
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_coefficient_that_is_not_used_warns(linear):
    with pytest.warns(ObjectiveWarning, match="'v' does not appear in the objective"):
        compiled({"a": linear(4)}, "w*a", {"w": 1.0, "v": 2.0})


def test_compiling_again_replaces_the_coefficients(linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = compiled(members, "a + w*b", {"w": 1.0})
    model.train_on_batch(X, Y)
    model.compile("sgd", SPARSE, objective="a + v*b", coefficients={"v": 0.5})
    assert list(model.coefficients) == ["v"]
    with pytest.raises(KeyError, match="no coefficient 'w'"):
        model.coefficients["w"]
    logs = model.test_on_batch(X, Y, return_dict=True)
    assert logs["v*b"] == pytest.approx(0.5 * float(logs["b_loss"]), rel=1e-5)


def test_coefficients_divide_and_stand_in_functions(linear, step):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = compiled(members, "a/w + relu(a - w*stop(b)) - w", {"w": 2.0})
    logs, _ = step(model, X, Y)
    assert logs["a/w"] == pytest.approx(logs["a_loss"] / 2, rel=1e-5)
    assert logs["-w"] == pytest.approx(-2.0)
    model.coefficients["w"].assign(4.0)
    again, _ = step(model, X, Y)
    assert again["a/w"] == pytest.approx(logs["a_loss"] / 4, rel=1e-5)
