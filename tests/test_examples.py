"""The examples run on every backend, and what they show is there in the short form.

How much is gained is no matter here: the short forms train for two epochs. The figures
of the full runs are in `examples/README.md`.
"""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backend

FOLDER = Path(__file__).parents[1] / "examples"


@pytest.fixture
def short(monkeypatch, capsys):
    """Run an example's short form; return what it returns and what it prints."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name):
        result = importlib.import_module(name).main(short=True)
        return result, capsys.readouterr().out

    return run


def check_figures(found, arms, what):
    assert {arm for arm, _ in found} == set(arms)
    assert {name for _, name in found} == set(what)
    for figures in found.values():
        assert len(figures) == 2
        assert all(0 <= value <= 1 for value in figures)


def check_gains(gains):
    for gain in gains.values():
        if isinstance(gain, dict):
            check_gains(gain)
            continue
        assert all(math.isfinite(value) for value in (gain.mean, gain.low, gain.high))


def test_privileged_information(short):
    result, printed = short("privileged_information")
    check_figures(result["found"], ("alone", "self-training", "taught"), ["100 labels"])
    check_gains(result["gains"])
    assert result["same"]
    assert result["inputs"] == (None, 47)  # deployed without the helper's input
    assert "zer learns from pix" in printed


def test_missing_modalities(short):
    result, printed = short("missing_modalities")
    check_figures(
        result["found"],
        ("alone", "taught"),
        ("fou, where it is", "fused, something missing", "fused, fou missing"),
    )
    check_gains(result["gains"])
    assert all(np.isfinite(weight).all() for weight in result["weights"])
    here, answers = result["here"], result["answers"]
    for view, rows in here.items():
        assert 0 < rows.sum() < len(rows)
        np.testing.assert_array_equal(np.isfinite(answers[view]).all(axis=-1), rows)
    np.testing.assert_array_equal(
        np.isnan(answers["fused"]).all(axis=-1), result["nothing"]
    )
    # `evaluate` counts the rows that have an input, as the example does by hand.
    by_hand = result["found"]["taught", "fou, where it is"][-1]
    assert result["logs"]["fou_accuracy"] == pytest.approx(by_hand, abs=1e-6)
    assert f"fused prediction is NaN: {result['nothing'].sum()}" in printed
    # Without the main network, both arms are the same helpers: they are not taught.
    same = "fused, fou missing"
    assert result["found"]["alone", same] == result["found"]["taught", same]


def test_unlabeled_rows(short):
    result, _ = short("unlabeled_rows")
    check_figures(
        result["found"],
        ("labels only", "self-training", "learn_from"),
        ("fou", "kar", "pix"),
    )
    check_gains(result["gains"])
    x, y = result["batch"]
    assert (y >= 0).sum() == 20
    assert (y == -1).sum() == 80
    assert {view: rows.shape for view, rows in x.items()} == {
        "fou": (100, 76),
        "kar": (100, 64),
        "pix": (100, 240),
    }


def test_mutual_learning(short):
    result, _ = short("mutual_learning")
    views = ("fou", "kar", "zer")
    check_figures(result["found"], ("alone", "mutual", "consensus"), views)
    check_gains(result["gains"])
    pairs = {(edge.source, edge.learner) for edge in result["edges"]}
    assert pairs == {(a, b) for a in views for b in views if a != b}


def test_frozen_teacher(short):
    result, printed = short("frozen_teacher")
    arms = ("alone", "distill", "distill and cka", "distill and hint")
    check_figures(result["found"], arms, ["student"])
    check_gains(result["gains"])
    assert result["unchanged"] == [True] * 8
    assert not result["joint"]["pix"].trainable_weights
    # The student has moved, and the projector of `hint` is no part of it.
    assert result["joint"]["fou"].count_params() == 77 * 64 + 65 * 10
    assert "byte-identical after fit: True" in printed


def test_recorded_teacher(short):
    result, _ = short("recorded_teacher")
    arms = ("alone", "logistic regression", "forest", "forest by heart")
    check_figures(result["found"], arms, ["fou"])
    check_gains(result["gains"])
    rows = importlib.import_module("recorded_teacher").rows
    (x, y), _ = rows(0, 10)
    known = y >= 0
    right = {n: (x[n].argmax(1) == y)[known].mean() for n in ("forest", "by_heart")}
    assert right["by_heart"] == 1.0 > right["forest"] > 0.5
    np.testing.assert_array_equal(x["forest"][~known], x["by_heart"][~known])


def test_large_inputs(short):
    result, printed = short("large_inputs")
    (case,) = result["results"].values()
    arms = ("alone", "hint", "distill", "gated by row", "gated by network")
    check_figures(case["found"]["acoustic"], arms, ["acoustic"])
    check_gains(case["gains"])
    assert result["projector"] == 64 * 96
    assert result["joint"]["acoustic"].input_shape == (None, 6373)
    assert result["joint"]["text"].input_shape == (None, 768)
    assert "SYNTHETIC" in printed


def test_every_example_is_in_the_table_with_its_command():
    table = (FOLDER / "README.md").read_text()
    scripts = {path.name for path in FOLDER.glob("*.py")} - {"measuring.py"}
    assert set(re.findall(r"`python examples/(\w+\.py)`", table)) == scripts


def test_a_new_run_starts_from_equal_weights(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    measuring = importlib.import_module("measuring")
    mutual = importlib.import_module("mutual_learning")
    random = np.random.default_rng(0)
    x = {"fou": 76, "kar": 64, "zer": 47}
    x = {view: random.normal(size=(20, width)) for view, width in x.items()}
    seen = {}
    for arm, seed, joint in measuring.runs(mutual.build, mutual.ARMS, 2, x):
        moments = joint.optimizer.variables
        state = [*joint.weights, *moments]
        seen[arm, seed] = [np.array(keras.ops.convert_to_numpy(v)) for v in state]
        if arm != "consensus":
            joint.fit(x, np.arange(20) % 10, epochs=1, batch_size=20, verbose=0)
    for (arm, seed), state in seen.items():
        for value, expected in zip(state, seen["alone", seed], strict=True):
            np.testing.assert_array_equal(value, expected, err_msg=arm)
    assert not np.array_equal(seen["alone", 0][0], seen["alone", 1][0])
