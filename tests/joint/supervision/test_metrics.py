"""Each member's metrics are Keras's, on the rows where label and input are known."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel
from coloss.weighting import Ramp

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 12
XA = RNG.normal(size=(ROWS, 4)).astype("float32")
XB = RNG.normal(size=(ROWS, 5)).astype("float32")
CLASSES = RNG.integers(0, 3, ROWS)
HOT = np.eye(3, dtype="float32")[CLASSES]
YES = (CLASSES % 2).astype("float32")
HERE = np.arange(ROWS) % 3 != 1
WEIGHTS = np.linspace(0, 2, ROWS).astype("float32")
SPARSE = "sparse_categorical_crossentropy"


def evaluated(model, x, y, **options):
    options.setdefault("batch_size", 6)
    return model.evaluate(x, y, verbose=0, return_dict=True, **options)


def numbers(model, x):
    return {k: np.asarray(v, "float64") for k, v in model.predict(x, verbose=0).items()}


BINARY_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)
SPARSE_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("loss", "activation", "y"),
    [
        (SPARSE, "softmax", CLASSES),
        (SPARSE_LOGITS, None, CLASSES),
        ("categorical_crossentropy", "softmax", HOT),
        ("binary_crossentropy", "sigmoid", YES[:, None]),
    ],
)
def test_accuracy_is_that_of_plain_keras(loss, activation, y, linear):
    units = y.shape[-1] if y.ndim > 1 else 3
    networks = {"a": linear(4, units, activation), "b": linear(5, units, activation, 1)}
    model = JointModel(networks)
    model.compile("sgd", loss, metrics=["accuracy", "crossentropy"])
    found = evaluated(model, {"a": XA, "b": XB}, y)
    for name, x in (("a", XA), ("b", XB)):
        networks[name].compile("sgd", loss, metrics=["accuracy"])
        expected = evaluated(networks[name], x, y)
        accuracy = expected["accuracy"]
        assert found[f"{name}_accuracy"] == pytest.approx(accuracy, abs=1e-6)
        entropy = found[f"{name}_crossentropy"]
        assert entropy == pytest.approx(expected["loss"], rel=1e-5)


def test_accuracy_of_several_yes_or_no_counts_each(linear):
    # Plain Keras goes by the shape here, and compares the largest output.
    model = JointModel({"a": linear(4, 3, "sigmoid")})
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    outputs = numbers(model, {"a": XA})["a"]
    found = evaluated(model, {"a": XA}, HOT)["a_accuracy"]
    assert found == pytest.approx(np.mean((outputs > 0.5) == (HOT > 0)), abs=1e-6)


def test_accuracy_of_binary_logits_has_its_threshold_at_0(linear):
    network = linear(4, 1, None)
    # Outputs of 0.3 are a yes, and some labels say so.
    network.set_weights([np.zeros((4, 1)), np.full(1, 0.3)])
    model = JointModel({"a": network})
    model.compile("sgd", BINARY_LOGITS, metrics=["accuracy"])
    outputs = numbers(model, {"a": XA})["a"][:, 0]
    expected = np.mean((outputs > 0) == (YES > 0))
    assert expected != np.mean((outputs > 0.5) == (YES > 0))
    found = evaluated(model, {"a": XA}, YES)["a_accuracy"]
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_list_is_for_all_members_and_a_dict_for_some(linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = JointModel(members)
    model.compile("sgd", SPARSE, metrics=["accuracy"])
    names = {name for name in evaluated(model, {"a": XA, "b": XB}, CLASSES)}
    assert names == {"loss", "a", "b", "a_loss", "b_loss", "a_accuracy", "b_accuracy"}
    model.compile("sgd", SPARSE, metrics={"b": "accuracy"})
    names = set(evaluated(model, {"a": XA, "b": XB}, CLASSES))
    assert names == {"loss", "a", "b", "a_loss", "b_loss", "b_accuracy"}


def test_weighted_metrics_use_the_member_s_sample_weights(linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = JointModel(members)
    model.compile("sgd", SPARSE, metrics=["accuracy"], weighted_metrics=["accuracy"])
    x, weights = {"a": XA, "b": XB}, {"a": WEIGHTS}
    found = evaluated(model, x, CLASSES, sample_weight=weights, batch_size=ROWS)
    right = {k: v.argmax(1) == CLASSES for k, v in numbers(model, x).items()}
    assert found["a_accuracy"] == pytest.approx(right["a"].mean(), abs=1e-6)
    expected = np.average(right["a"], weights=WEIGHTS)
    assert found["a_weighted_accuracy"] == pytest.approx(expected, abs=1e-6)
    assert found["b_weighted_accuracy"] == pytest.approx(right["b"].mean(), abs=1e-6)


def test_an_instance_is_copied_for_each_member(linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = JointModel(members)
    shared = keras.metrics.F1Score(average="macro")
    model.compile("sgd", "categorical_crossentropy", metrics=[shared])
    x = {"a": XA, "b": XB}
    y = {"a": HOT, "b": np.roll(HOT, 1, 0)}
    found = evaluated(model, x, y)
    outputs = numbers(model, x)
    assert shared not in model.metrics
    assert not shared.variables
    for name in "ab":
        one = keras.metrics.F1Score(average="macro")
        one.update_state(y[name], outputs[name].astype("float32"))
        assert found[f"{name}_f1_score"] == pytest.approx(float(one.result()), abs=1e-6)
    assert found["a_f1_score"] != found["b_f1_score"]


def test_auc_ignores_unlabeled_rows(linear):
    network = linear(4, 1, "sigmoid")
    model = JointModel({"a": network})
    model.compile("sgd", "binary_crossentropy", metrics=[keras.metrics.AUC()])
    labels = np.where(HERE, YES, -1)
    found = evaluated(model, {"a": XA}, labels)
    one = keras.metrics.AUC()
    outputs = numbers(model, {"a": XA})["a"]
    one.update_state(YES[HERE][:, None], outputs[HERE].astype("float32"))
    key = next(name for name in found if "auc" in name)
    assert key.startswith("a_")
    assert found[key] == pytest.approx(float(one.result()), abs=1e-6)


def test_metrics_ignore_unlabeled_and_missing_rows(linear):
    members = {"a": linear(4), "b": linear(5, 2, None, seed=1)}
    model = JointModel(members)
    metrics = {"a": ["accuracy"], "b": ["mae", keras.metrics.RootMeanSquaredError()]}
    model.compile("sgd", {"a": SPARSE, "b": "mse"}, metrics=metrics)
    x = {"a": XA, "b": np.array(XB)}
    x["b"][::4] = np.nan
    targets = RNG.normal(size=(ROWS, 2)).astype("float32")
    y = {"a": np.where(HERE, CLASSES, -1), "b": np.array(targets)}
    y["b"][1] = np.nan
    found = evaluated(model, x, y)
    outputs = numbers(model, x)
    assert np.isnan(outputs["b"][::4]).all()
    right = outputs["a"].argmax(1) == CLASSES
    assert found["a_accuracy"] == pytest.approx(right[HERE].mean(), abs=1e-6)
    gap = (outputs["b"] - y["b"])[~np.isnan(outputs["b"] + y["b"]).any(1)]
    assert found["b_mae"] == pytest.approx(np.abs(gap).mean(), rel=1e-5)
    name = "b_root_mean_squared_error"
    assert found[name] == pytest.approx(np.sqrt((gap**2).mean()), rel=1e-5)


def softmax(z):
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def test_fused_mean_is_over_the_probabilities_of_those_present(linear):
    members = {"a": linear(4, activation=None), "b": linear(5, activation=None, seed=1)}
    model = JointModel(members, fuse="mean")
    model.compile("sgd", SPARSE_LOGITS, metrics={"fused": ["accuracy", "crossentropy"]})
    x = {"a": np.array(XA), "b": np.array(XB)}
    x["a"][:3], x["b"][2:5] = np.nan, np.nan  # row 2 has neither
    y = np.where(HERE, CLASSES, -1)
    outputs = numbers(model, x)
    both = np.stack([softmax(outputs["a"]), softmax(outputs["b"])])
    with np.errstate(invalid="ignore"):
        expected = np.nansum(both, 0) / np.sum(~np.isnan(both), 0)
    np.testing.assert_allclose(outputs["fused"], expected, atol=1e-6)
    assert np.isnan(outputs["fused"][2]).all()
    assert not np.isnan(outputs["fused"][[0, 1, 3, 4]]).any()
    found = evaluated(model, x, y)
    rows = HERE & (np.arange(ROWS) != 2)
    right = expected.argmax(1)[rows] == CLASSES[rows]
    assert found["fused_accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    entropy = -np.log(expected[rows, CLASSES[rows]]).mean()
    assert found["fused_crossentropy"] == pytest.approx(entropy, rel=1e-5)


def largest(outputs):
    return keras.ops.maximum(outputs["a"], outputs["b"])


def test_fuse_may_be_a_function_of_the_outputs(linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = JointModel(members, fuse=largest)
    model.compile("sgd", SPARSE, metrics=["accuracy"])
    x = {"a": XA, "b": XB}
    outputs = numbers(model, x)
    np.testing.assert_allclose(
        outputs["fused"], np.maximum(outputs["a"], outputs["b"]), atol=1e-7
    )
    found = evaluated(model, x, CLASSES)
    right = outputs["fused"].argmax(1) == CLASSES
    assert found["fused_accuracy"] == pytest.approx(right.mean(), abs=1e-6)


def test_history_holds_loss_summands_members_and_what_moves(linear):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = JointModel(members)
    model.compile(
        "sgd",
        SPARSE,
        objective="a + 0.5*b - w*(b - v*a) + distill(b >> a) + a",
        coefficients={"w": Ramp(0, 0.2, epochs=2), "v": 0.5},
        metrics=["accuracy"],
        on_ascent="allow",
    )
    x = {"a": XA, "b": XB}
    history = model.fit(
        x, CLASSES, epochs=2, validation_data=(x, CLASSES), verbose=0
    ).history
    summands = ["a", "0.5*b", "-(w*(b - v*a))", "distill(b >> a)", "a (2)"]
    found = [name for name in history if not name.startswith("val_")]
    minus = next(name for name in found if name.startswith("-"))
    assert minus.replace("(", "").replace(")", "") == "-w*b - v*a"
    summands[2] = minus
    own = [f"{name}_{what}" for name in "ab" for what in ("loss", "accuracy")]
    assert sorted(found) == sorted(["loss", *summands, *own, "w"])
    assert {name[4:] for name in history if name.startswith("val_")} == set(
        ["loss", *summands, *own]
    )
    total = np.sum([history[name] for name in summands], axis=0)
    np.testing.assert_allclose(history["loss"], total, rtol=1e-5)
    np.testing.assert_allclose(history["w"], [0.0, 0.1], rtol=1e-6)
    assert history["a"] == history["a (2)"]


class NoWeights(keras.metrics.Metric):
    def update_state(self, y_true, y_pred):
        pass

    def result(self):
        return 0.0


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"c": ["accuracy"]}, "`metrics`: no member 'c'"),
        ({"a": ["acuracy"]}, "metric of 'a'"),
        ({"b": ["accuracy"]}, "cannot be computed for 'b', which has a regression"),
        ([NoWeights()], "no `sample_weight` argument"),
    ],
)
def test_what_cannot_be_measured_is_refused(metrics, message, linear):
    model = JointModel({"a": linear(4), "b": linear(5, 2, None)})
    with pytest.raises(ValueError, match=message):
        model.compile("sgd", {"a": SPARSE, "b": "mse"}, metrics=metrics)
