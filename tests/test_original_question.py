"""The ways of the original question are one training, on every backend."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend

PATH = Path(__file__).parents[1] / "examples" / "original_question.py"
UNITS = 32


@pytest.fixture(scope="module")
def question():
    spec = importlib.util.spec_from_file_location("original_question", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(question):
    keras.utils.set_random_seed(1)
    return question.train_all(steps=20, units=UNITS)


def difference(first, second):
    return max(
        float(np.max(np.abs(a - b)))
        for name in first
        for a, b in zip(
            first[name].get_weights(), second[name].get_weights(), strict=True
        )
    )


@pytest.mark.parametrize("way", ["b", "c", "d"])
def test_losses_are_equal_at_every_step(trained, way):
    losses, _ = trained
    assert len(losses["a"]) == 20
    np.testing.assert_allclose(losses[way], losses["a"], atol=1e-5)


@pytest.mark.parametrize("way", ["b", "c", "d"])
def test_weights_are_equal_after_20_steps(trained, way):
    _, sets = trained
    assert difference(sets["a"], sets[way]) < 1e-5


def same_networks(question, count):
    keras.utils.set_random_seed(2)
    sets = [question.networks(units=UNITS, dropout=0.0) for _ in range(count)]
    for other in sets[1:]:
        for name, member in other.items():
            member.set_weights(sets[0][name].get_weights())
    return sets


def test_negative_loss_weights_of_plain_keras_are_the_same(question):
    ours, plain = same_networks(question, 2)
    joint = question.joint(ours)
    inputs = {name: keras.Input((w,), name=name) for name, w in question.WIDTHS.items()}
    model = keras.Model(inputs, {n: plain[n](inputs[n]) for n in inputs})
    w1, w2, w3 = question.W1, question.W2, question.W3
    model.compile(
        keras.optimizers.Adam(1e-4),
        loss=dict.fromkeys(inputs, "categorical_crossentropy"),
        loss_weights={"acoustic": w1 + w2 + w3, "visual": -w2, "text": -w3},
    )
    for x, y in question.batches(steps=20):
        logs = joint.train_on_batch(x, y, return_dict=True)
        theirs = model.train_on_batch(x, dict.fromkeys(x, y), return_dict=True)
        joint.reset_metrics()
        model.reset_metrics()
        np.testing.assert_allclose(logs["loss"], theirs["loss"], atol=1e-5)
    assert difference(ours, plain) < 1e-5


def test_the_uncorrected_answer_is_another_objective(question):
    ours, theirs = same_networks(question, 2)
    joint = question.joint(
        ours,
        "c0*acoustic + c1*(acoustic - visual) + c2*(visual - text)",
        {"c0": question.W1, "c1": question.W2, "c2": question.W3},
    )
    model = question.concatenated_by_hand(theirs, corrected=False)
    for x, y in question.batches(steps=20):
        logs = joint.train_on_batch(x, y, return_dict=True)
        other = model.train_on_batch(x, np.hstack([y] * 3), return_dict=True)
        joint.reset_metrics()
        model.reset_metrics()
        np.testing.assert_allclose(logs["loss"], other["loss"], atol=1e-5)
    assert difference(ours, theirs) < 1e-5


def test_the_main_network_learns_what_it_would_learn_alone(question):
    ours, alone = same_networks(question, 2)
    joint = question.joint(ours)
    single = question.joint(
        {"acoustic": alone["acoustic"]},
        f"{question.W1 + question.W2 + question.W3}*acoustic",
        {},
    )
    for x, y in question.batches(steps=20):
        joint.train_on_batch(x, y)
        single.train_on_batch({"acoustic": x["acoustic"]}, y)
    assert difference({"m": ours["acoustic"]}, {"m": alone["acoustic"]}) < 1e-5


def test_explain_says_what_the_formula_does(question):
    members = question.networks(units=4)
    with pytest.warns(coloss.ObjectiveWarning, match="visual and text to fail"):
        model = coloss.JointModel(members)
        model.compile(
            loss="categorical_crossentropy",
            objective=question.PAPER,
            coefficients=question.COEFFICIENTS,
        )
    found = model.explain()
    assert found.coefficients == {
        "acoustic": "w1 + w2 + w3",
        "visual": "-w2",
        "text": "-w3",
    }
    assert found.ascended == ["visual", "text"]
    assert not [edge for edge in found.edges if edge.learner == "acoustic"]
    assert not found.unbounded  # softmax heads: clipped
    logits = keras.losses.CategoricalCrossentropy(from_logits=True)
    with pytest.warns(coloss.ObjectiveWarning, match="expects logits"):
        model.compile(
            loss=logits,
            objective=question.PAPER,
            coefficients=question.COEFFICIENTS,
            on_ascent="allow",
        )
    assert model.explain().unbounded == ["visual", "text"]


def test_the_suggestion_compiles_and_trains(question):
    members = question.networks(units=4)
    model = question.joint(members)
    suggestion = model.explain().suggestion
    repaired = question.joint(members, suggestion)
    found = repaired.explain()
    assert not found.ascended
    assert {(edge.source, edge.learner) for edge in found.edges} == {
        ("visual", "acoustic"),
        ("text", "acoustic"),
    }
    (x, y), *_ = question.batches(steps=1)
    history = repaired.fit(x, y, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_on_ascent_raise_refuses_before_training(question):
    model = coloss.JointModel(question.networks(units=4))
    with pytest.raises(coloss.ObjectiveError, match="visual and text to fail"):
        model.compile(
            loss="categorical_crossentropy",
            objective=question.PAPER,
            coefficients=question.COEFFICIENTS,
            on_ascent="raise",
        )


def test_accuracy_of_each_network_is_right(question):
    members = question.networks(units=8)
    model = question.concatenated_by_coloss(members)
    (x, y), *_ = question.batches(steps=1)
    three = np.hstack([y, y, y])
    three[:10, 5:10] = np.nan
    found = model.evaluate(x, three, verbose=0, return_dict=True)
    for name, member in members.items():
        start = 10 if name == "visual" else 0
        outputs = keras.ops.convert_to_numpy(member(x[name]))[start:]
        expected = np.mean(outputs.argmax(1) == y[start:].argmax(1))
        assert found[f"{name}_accuracy"] == pytest.approx(expected, abs=1e-6)
