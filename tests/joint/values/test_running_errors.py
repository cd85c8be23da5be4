"""The skill of members that predict numbers, which gates go by, against NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss
from coloss.joint.supervision.skill import R2
from coloss.joint.values.running_errors import (
    TRAINED,
    VALIDATED,
    Errors,
    RunningErrors,
)

pytestmark = pytest.mark.backend

random = np.random.default_rng(0)
LABELS = random.normal([2000.0, -3.0], [10.0, 0.1], (40, 2)).astype("float32")
GUESSES = (LABELS + random.normal(0, [5.0, 0.2], (40, 2))).astype("float32")
GATED = 'a + b + match_logits(b >> a, gate="network")'


def r2(labels, guesses):
    labels, guesses = labels.astype("float64"), guesses.astype("float64")
    spread = ((labels - labels.mean(axis=0)) ** 2).sum(axis=0)
    return float((1 - ((labels - guesses) ** 2).sum(axis=0) / spread).mean())


def errors(labels, guesses):
    means = labels.mean(axis=0) if len(labels) else np.zeros(labels.shape[1])
    return Errors(
        *(
            keras.ops.convert_to_tensor(np.asarray(value, "float32"))
            for value in (
                len(labels),
                ((labels - guesses) ** 2).sum(axis=0),
                means,
                ((labels - means) ** 2).sum(axis=0),
            )
        )
    )


def test_batches_of_any_size_add_up():
    found = RunningErrors({"one": 1, "two": 2})
    for part in (slice(0, 3), slice(3, 3), slice(3, 30), slice(30, 40)):
        labels, guesses = LABELS[part], GUESSES[part]
        narrow = errors(labels[:, :1], guesses[:, :1])
        batch = {"one": narrow, "two": errors(labels, guesses)}
        found.add(batch, TRAINED)
    expected = [r2(LABELS[:, :1], GUESSES[:, :1]), r2(LABELS, GUESSES)]
    skills = keras.ops.convert_to_numpy(found.skill(TRAINED))
    np.testing.assert_allclose(skills, expected, atol=2e-3)
    assert keras.ops.convert_to_numpy(found.rows(TRAINED)).tolist() == [40, 40]
    assert keras.ops.convert_to_numpy(found.skill(VALIDATED)).tolist() == [0, 0]
    found.add(batch, VALIDATED)
    found.forget_validation()
    assert keras.ops.convert_to_numpy(found.rows(VALIDATED)).tolist() == [0, 0]
    assert keras.ops.convert_to_numpy(found.rows(TRAINED)).tolist() == [40, 40]


def test_the_metric_keeps_its_digits_far_from_zero():
    metric, weight = R2(), np.arange(40) % 3 > 0
    for part in (slice(0, 7), slice(7, 40)):
        metric.update_state(LABELS[part], GUESSES[part], weight[part])
    assert float(metric.result()) == pytest.approx(
        r2(LABELS[weight], GUESSES[weight]), abs=2e-3
    )
    metric.reset_state()
    assert float(metric.result()) == 0.0
    # One value a row, in a column or not.
    metric = R2()
    metric.update_state(LABELS[:, 1], GUESSES[:, 1])
    assert float(metric.result()) == pytest.approx(r2(LABELS[:, 1:], GUESSES[:, 1:]))
    assert float(R2.from_config(metric.get_config()).result()) == 0.0


def network(width, outputs=1):
    layers = [keras.Input((width,)), keras.layers.Dense(outputs, name="out")]
    return keras.Sequential(layers)


X = {
    "a": random.normal(size=(24, 3)).astype("float32"),
    "b": random.normal(size=(24, 2)).astype("float32"),
}
Y = (X["a"] @ np.ones((3, 1)) + X["b"] @ np.ones((2, 1))).astype("float32")
Y[::4] = np.nan


def joint(outputs=1, **options):
    members = {"a": network(3, outputs), "b": network(2, outputs)}
    found = coloss.JointModel(members)
    given = {"loss": "mse", "objective": GATED, "metrics": ["r2", "rmse"], **options}
    found.compile(keras.optimizers.SGD(0.0), **given)
    return found


def test_a_gate_goes_by_the_skill_on_labeled_validation_rows():
    model = joint()
    logs = model.fit(X, Y, validation_data=(X, Y), batch_size=7, verbose=0).history
    known = ~np.isnan(Y[:, 0])
    predicted = model.predict(X, verbose=0)
    skills = {n: r2(Y[known], predicted[n][known]) for n in "ab"}
    measured = model.auxiliary.running_accuracy
    found = keras.ops.convert_to_numpy(measured._accuracy)
    np.testing.assert_allclose(found, [skills["a"], skills["b"]], atol=1e-4)
    better = float(skills["b"] > skills["a"])
    assert float(measured.trust("a", "b")) == better
    for name in "ab":
        assert logs[f"val_{name}_r2"][0] == pytest.approx(skills[name], abs=1e-4)
        error = np.sqrt(np.mean((Y - predicted[name])[known] ** 2))
        assert logs[f"val_{name}_rmse"][0] == pytest.approx(error, rel=1e-4)
    # An open gate is the term, a closed one is 0.
    term = np.mean((predicted["a"] - predicted["b"]) ** 2)
    again = model.evaluate(X, Y, batch_size=24, verbose=0, return_dict=True)
    shown = again['match_logits(b >> a, gate="network")']
    assert shown == pytest.approx(better * term, rel=1e-4)


def test_several_values_and_recorded_predictions():
    """A recorded forecast has no labels of its own, and is judged by the learner's."""
    model = coloss.JointModel(
        {"a": network(3, 2), "expert": coloss.Recorded(kind="values")}
    )
    text = 'a + match_logits(expert >> a, gate="network")'
    model.compile(keras.optimizers.SGD(0.0), loss="mse", objective=text)
    y = np.hstack([Y, 10 - Y])
    forecast = np.nan_to_num(y + 0.1).astype("float32")
    x = {"a": X["a"], "expert": forecast}
    model.fit(x, y, validation_data=(x, y), batch_size=10, verbose=0)
    known = ~np.isnan(Y[:, 0])
    predicted = keras.ops.convert_to_numpy(model["a"](X["a"]))
    expected = [r2(y[known], one[known]) for one in (predicted, forecast)]
    measured = model.auxiliary.running_accuracy
    found = keras.ops.convert_to_numpy(measured._accuracy)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert float(measured.trust("a", "expert")) == 1.0


def test_a_classifier_and_numbers_train_together():
    members = {"a": network(3), "b": network(2, 3)}
    model = coloss.JointModel(members)
    losses = {
        "a": "mse",
        "b": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    metrics = {"a": ["r2"], "b": ["accuracy"]}
    text = "a + b + cka(b.out >> a.out)"
    model.compile("sgd", loss=losses, objective=text, metrics=metrics)
    y = {"a": Y, "b": np.arange(24) % 3}
    logs = model.fit(X, y, batch_size=12, verbose=0).history
    assert {"a_r2", "b_accuracy"} <= set(logs)
    assert np.isfinite(logs["loss"]).all()
    gated = 'a + b + cka(b.out >> a.out, gate="network")'
    with pytest.raises(ValueError, match="one predicts classes, the other numbers"):
        model.compile("sgd", loss=losses, objective=gated)
    with pytest.raises(ValueError, match="is for numbers, and 'b' predicts classes"):
        model.compile("sgd", loss=losses, objective=text, metrics=["r2"])


def test_what_has_no_skill_is_refused_before_training():
    layers = [keras.Input((4, 3)), keras.layers.Dense(1)]
    members = {"a": network(3), "b": keras.Sequential(layers)}
    with pytest.raises(ValueError, match=r"outputs of shape \(None, 4, 1\)"):
        coloss.JointModel(members).compile("sgd", loss="mse", objective=GATED)
    late = {"a": network(3), "b": keras.Sequential([keras.layers.Dense(1)])}
    with pytest.raises(ValueError, match="is not built yet"):
        coloss.JointModel(late).compile("sgd", loss="mse", objective=GATED)


def test_credible_rows_of_a_regression():
    """`coteach` reads losses, whatever they measure."""
    model = joint(objective="b + coteach(b >> a, temperature=2)", metrics=[])
    found = model.evaluate(X, Y, batch_size=24, verbose=0, return_dict=True)
    known = ~np.isnan(Y[:, 0])
    predicted = model.predict(X, verbose=0)
    a, b = (((predicted[n] - Y) ** 2)[known, 0] for n in "ab")
    share = np.exp(-b / 2) / np.exp(-b / 2).sum()
    assert found["coteach(b >> a, temperature=2)"] == pytest.approx(
        (share * a).sum(), rel=1e-4
    )
